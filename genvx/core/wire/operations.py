"""The operations of a host: a class for each, and one table that both ends of the wire read.

An operation is a value. Its class says what is sent; the type in brackets is what the far end
replies. `OPERATIONS` has each operation's name on the wire, the table of its fields, and the form
of its reply. A new operation is a class and a line there, a function of the agent (genvx/agent),
and a method of SSHHost. Operations on runs are in runoperations.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, TypeVar, Union

from genvx._version import __version__
from genvx.core.ask import Ask, Join, Wanted
from genvx.core.environment import Environment
from genvx.core.finding import Finding
from genvx.core.grant import Grant
from genvx.core.policy import Entitlement
from genvx.core.snapshot import Snapshot
from genvx.core.standing import Standing
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.value import field, value
from genvx.core.wire import codec
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.operation import Operation as Operation
from genvx.core.wire.operation import Wire as Wire
from genvx.core.wire.policycodec import ENTITLEMENT
from genvx.core.wire.protocol import Call
from genvx.core.wire.tables import (
    Bare,
    Kind,
    Table,
    Tagged,
    exact_text,
    flag,
    identifier,
    integer,
    many,
    named_lists,
    nothing,
    one,
    optional,
    seconds,
    string,
    strings,
    tagged,
    text,
    texts_by_name,
)
from genvx.errors import AgentError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.requirements import Requirements
    from genvx.core.wire.tables import Form

R = TypeVar("R")

MOST_WORDS = 10_000
_LONGEST_WORD = 512 * 1024
# As PATH_MAX of Linux: a longer path cannot be opened anyway.
_LONGEST_PATH = 4096


# Questions


@value
class TakeSnapshot(Operation[Snapshot]):
    """Ask for the host at this moment. holders: also which processes hold its leases."""

    holders: bool = False


@value
class Examine(Operation[tuple[Finding, ...]]):
    """Ask what is wrong on the host."""


@value
class ShowPolicy(Operation[Entitlement]):
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


Progress = Union[Grant, Standing, Behind, Joined, NeverRan]
"""The replies, one after another, of a far end that holds devices or waits for them."""


@value
class Hold(Operation[Progress]):
    """Hold devices until stdin ends, the client is gone, or its shell has joined.

    silence: seconds after which a silent client counts as gone.
    """

    wanted: Wanted
    silence: Optional[float] = None


@value
class Run(Operation[Progress]):
    """Run a command that holds devices; its streams are ours."""

    wanted: Wanted
    job: Job


@value
class RunInTurn(Operation[Progress]):
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


ASK = Table(
    Ask,
    "request",
    requirements=one(codec.REQUIREMENTS),
    name=string(NAME_LIMIT + 1),  # require_name refuses longer ones
    environment_id=optional(identifier()),
    command=text(COMMAND_LIMIT),
    lasts=optional(seconds()),
    patience=optional(seconds()),
    keeps=flag(),
)
JOIN = Table(Join, "join", environment_id=identifier(), command=text(COMMAND_LIMIT))
_WANTED: Kind[Wanted] = tagged(Tagged("what is wanted", {"new": ASK, "join": JOIN}))
_JOB = Table(
    Job,
    "command",
    argv=optional(strings(_LONGEST_WORD, MOST_WORDS)),
    variables=texts_by_name(_LONGEST_WORD, MOST_WORDS),
    cwd=optional(string(_LONGEST_PATH)),
)
_PROGRESS: Tagged[Progress] = Tagged(
    "progress",
    {
        "granted": codec.GRANT,
        "waiting": Table(Standing, "standing", place=integer(0, 1 << 20), reason=text(300)),
        "behind": Table(Behind, "turn", who=text(MESSAGE_LIMIT)),
        "joined": Table(Joined, "joined"),
        "never ran": Table(NeverRan, "start-up", start_up=text(256)),
    },
)
_OWN_USE = Table(OwnUse, "use", snapshot=one(codec.SNAPSHOT), own=named_lists(MOST_DEVICES, 10_000))


OPERATIONS: Mapping[type[Operation[Any]], Wire[Any]] = {
    wire.table.make: wire  # type: ignore[misc]  # a class makes its values
    for wire in (
        Wire("snapshot", Table(TakeSnapshot, "snapshot", holders=flag()), codec.SNAPSHOT),
        Wire("doctor", Table(Examine, "doctor"), Bare(many(codec.FINDING))),
        Wire("policy", Table(ShowPolicy, "policy"), ENTITLEMENT),
        Wire("use", Table(ShowUse, "use", environment_id=identifier()), _OWN_USE),
        Wire("port", Table(FindPort, "port"), Bare(integer(1, 65535))),
        Wire(
            "release",
            Table(Release, "release", environment=string(NAME_LIMIT), kill=flag()),
            codec.ENVIRONMENT,
        ),
        Wire(
            "attach",
            Table(
                Attach, "attach", environment_id=identifier(), requirements=one(codec.REQUIREMENTS)
            ),
            codec.GRANT,
        ),
        Wire(
            "detach",
            Table(
                Detach,
                "detach",
                environment_id=identifier(),
                devices=strings(NAME_LIMIT, MOST_WORDS),
            ),
            codec.GRANT,
        ),
        Wire("reserve", Table(Reserve, "reserve", ask=one(ASK)), codec.GRANT),
        Wire(
            "signal",
            Table(Signal, "signal", environment_id=identifier(), signal=string(16), lease=text(32)),
            Bare(nothing()),
        ),
        Wire("hold", Table(Hold, "hold", wanted=_WANTED, silence=optional(seconds())), _PROGRESS),
        Wire("run", Table(Run, "run", wanted=_WANTED, job=one(_JOB)), _PROGRESS),
        Wire(
            "lock",
            Table(
                RunInTurn,
                "lock",
                environment_id=identifier(),
                job=one(_JOB),
                patience=optional(seconds()),
            ),
            _PROGRESS,
        ),
        Wire(
            "shell",
            Table(
                OpenShell,
                "shell",
                environment_id=identifier(),
                prompt=optional(exact_text(300)),
                job=optional(one(_JOB)),
            ),
            Bare(nothing()),
        ),
    )
}
_BY_NAME = {wire.name: wire for wire in OPERATIONS.values()}


def wire_of(kind: type[Operation[Any]]) -> Wire[Any]:
    """How the operations of a class travel. Those on runs are loaded when one is asked for."""
    wire = OPERATIONS.get(kind)
    if wire is None:
        from genvx.core.wire.runoperations import RUN_OPERATIONS

        wire = RUN_OPERATIONS[kind]
    return wire


def _wire_named(name: str) -> Optional[Wire[Any]]:
    wire = _BY_NAME.get(name)
    if wire is None and name.startswith("run"):
        from genvx.core.wire.runoperations import RUN_OPERATIONS

        wire = next((each for each in RUN_OPERATIONS.values() if each.name == name), None)
    return wire


def call_of(operation: Operation[Any], token: str) -> Call:
    """Return the call that asks for an operation."""
    wire = wire_of(type(operation))
    return Call(wire.name, token, wire.table.write(operation))


def operation_of(call: Call) -> Operation[Any]:
    """Return the operation that a call asks for.

    Raises:
        AgentError: there is no operation of that name. Malformed: its fields cannot be read.
    """
    wire = _wire_named(call.operation)
    if wire is None:
        raise AgentError(
            f"genvx {__version__} there has no operation {call.operation!r} of genvx "
            f"{call.version} here; install the same version on both"
        )
    operation: Operation[Any] = wire.table.read(call.arguments)
    return operation


def reply_form(operation: Operation[R]) -> Form[R]:
    """Return how the reply to an operation is written and read."""
    form: Form[R] = wire_of(type(operation)).reply
    return form
