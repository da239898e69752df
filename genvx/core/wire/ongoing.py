"""Operations that start something on a host, and go on after their reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.value import value
from genvx.core.wire.operation import Operation
from genvx.core.wire.progress import Progress

if TYPE_CHECKING:
    from genvx.core.requests.ask import Wanted
    from genvx.core.wire.job import Job


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
class ServeSSH(Operation[Progress]):
    """Serve one SSH connection on our streams, whose sessions are in one of our environments.

    key: the public key that may log in, as a line of authorized_keys. in_run: whether they are
    inside of the run of this environment.
    """

    environment_id: str
    key: str
    in_run: bool = False


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


@value
class Stay(Operation[None]):
    """Answer the questions that follow on stdin, one after the other, until it ends.

    Each is a call of its own, and its reply has its token.

    silence: seconds after which a silent client counts as gone. runs: one of the calls may be a
    `Run`, which is then the last; the agent says `STALE` instead if a new one would not be what it
    is.
    """

    silence: float
    runs: bool = False
