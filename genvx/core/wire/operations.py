"""The operations of a host: a class for each. An operation is a value.

Its class says what is sent; the type in brackets is what the far end replies. How it travels is
said in wires.py. A new operation is a class here, a line and a table there, a function of the agent
(genvx/agent), and a method of SSHHost. Operations on runs are in runoperations.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.grant import Finding, Grant
from genvx.core.lease import Environment
from genvx.core.snapshot import Snapshot
from genvx.core.value import field, value
from genvx.core.wire.operation import Operation as Operation
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.ask import Ask, Wanted
    from genvx.core.policy import Entitlement  # noqa: F401  # the reply of ShowPolicy
    from genvx.core.queue import Standing
    from genvx.core.requirements import Requirements


# Questions


@value
class TakeSnapshot(Operation[Snapshot]):
    """Ask for the host at this moment. holders: also which processes hold its leases."""

    holders: bool = False


@value
class Examine(Operation[tuple[Finding, ...]]):
    """Ask what is wrong on the host."""


# Named, not imported: few calls are about policies, and start-up is most of what a call costs.
@value
class ShowPolicy(Operation["Entitlement"]):
    """Ask what the host's policy allows us."""


@value
class OwnUse:
    """A host, and which processes on its devices belong to one environment.

    own: the environment's pids on each of its devices, by the device's UUID.
    """

    snapshot: Snapshot
    own: Mapping[str, tuple[int, ...]]


@value
class ShowUse(Operation[OwnUse]):
    """Ask for the host, and for the use of its devices by one of our environments."""

    environment_id: str


@value
class FindPort(Operation[int]):
    """Ask for a TCP port on which nobody listens just now."""


# Acts


@value
class Release(Operation[Environment]):
    """End an environment, named by id or name. kill: end its processes first."""

    environment: str
    kill: bool = False


@value
class Attach(Operation[Grant]):
    """Give one of our environments more devices."""

    environment_id: str
    requirements: Requirements


@value
class Detach(Operation[Grant]):
    """Take devices, by label or UUID, from one of our environments; all if none is named."""

    environment_id: str
    devices: tuple[str, ...] = ()


@value
class Reserve(Operation[Grant]):
    """Take devices for as long as the request says, without a process that holds them."""

    ask: Ask


@value
class Signal(Operation[None]):
    """Send a signal, named without SIG, to the processes that hold one of our environments.

    lease: if given, only to the process that took this lease.
    """

    environment_id: str
    signal: str
    lease: str = ""


# What starts something, and goes on after its reply


@value
class Job:
    """A command. argv: None for the user's shell, which reads stdin. cwd: relative to the home."""

    argv: Optional[tuple[str, ...]] = None
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: Optional[str] = None

    def __post_init__(self) -> None:
        if self.argv is not None and (
            not self.argv or not self.argv[0] or any("\0" in word for word in self.argv)
        ):
            raise InvalidInput("a command has at least one word, and none with a NUL")
        # The kernel ends a path at its first NUL, so another directory would be used.
        if self.cwd is not None and "\0" in self.cwd:
            raise InvalidInput("a directory has no NUL in its name")
        if self.variables:
            from genvx.core.command import require_variables

            require_variables(self.variables)


@value
class Behind:
    """Whom a command waits for, in words, before its turn on the devices."""

    who: str


@value
class Joined:
    """The expected shell has joined the environment."""


@value
class NeverRan:
    """The expected shell never started.

    start_up: the start-up file that the login shell reads first, which may be the cause; empty if
    unknown.
    """

    start_up: str


if TYPE_CHECKING:
    Progress = Union[Grant, Standing, Behind, Joined, NeverRan]
    """The replies, one after another, of a far end that holds devices or waits for them."""


@value
class Hold(Operation["Progress"]):
    """Hold devices until stdin ends, the client is gone, or its shell has joined.

    silence: seconds after which a silent client counts as gone.
    """

    wanted: Wanted
    silence: Optional[float] = None


@value
class Run(Operation["Progress"]):
    """Run a command that holds devices; its streams are ours."""

    wanted: Wanted
    job: Job


@value
class RunInTurn(Operation["Progress"]):
    """Run a command in one of our environments when its turn on the devices comes.

    patience: the most seconds to wait for the turn; None waits for ever.
    """

    environment_id: str
    job: Job
    patience: Optional[float] = None


@value
class OpenShell(Operation[None]):
    """Join one of our environments and become a shell, or run a command, in the terminal of stdin.

    Its result goes to the `Hold` of the same token, because the terminal is for the person.

    prompt: the host's name for the shell's prompt; None leaves the prompt alone. job: None for a
    shell.
    """

    environment_id: str
    prompt: Optional[str] = None
    job: Optional[Job] = None
