"""Every exception that genvx raises, as one tree.

GenvxError                    the CLI prints one line and exits with .exit_code
├── InvalidInput (2)          the request makes no sense; nothing has happened
│   ├── CommandNotFound (127) the command to run does not exist; 127 is a shell's exit code
│   │   └── CommandNotExecutable (126)
│   ├── InvalidHostfile       names file, line and column
│   ├── InvalidQuantity       "-1", "40 parsecs"
│   ├── ProjectChanged        its files are changed all the time
│   ├── InvalidRemotes        names file, line and column of remotes.yml
│   ├── NotRunning            the machine of a remote is stopped, or was never started
│   ├── UnknownDevice
│   ├── UnknownEnvironment
│   ├── UnknownHost
│   ├── UnknownRemote
│   └── UnknownRun
├── NoCapacity (3)            the request cannot be satisfied now
│   ├── Unsatisfiable (2)     it can never be satisfied: no host has such devices, in such number
│   └── WaitedTooLong (124)   it could not be satisfied in time
├── HostError (4)             one host could not answer; .kind is one word for tables
│   ├── HostUnreachable       dns, refused, timeout
│   │   └── HostLost          it answered once, and no longer does
│   ├── HostKeyError          unknown, changed or revoked
│   ├── AuthenticationFailed
│   ├── AgentError            the agent is missing or failed
│   ├── ProtocolError         the host answered, but not as genvx
│   ├── WorkerDied            a worker of an executor ended while it had a call
│   └── DriverError           NVML
├── CallFailed                a function that an executor called raised what cannot be raised here
├── CloudError (4)            a cloud refuses, fails or does not answer; .code is its word for that
│   └── CloudDenied           our credentials do not allow it; the message names the action
├── NotOwner (5)              someone else's environment
├── StateError (6)            the state directory is unsafe, full or read-only
│   └── TreeMissing           the code of a run is not on its host
└── FleetError (4)            some hosts failed; .outcomes has the result of each host

Rule: the message of an exception says what to do, where that is known. The wire carries the class
name and the message, nothing else, so a class must be constructible from a message alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping


class GenvxError(Exception):
    """Base of all errors that genvx raises on purpose."""

    exit_code: ClassVar[int] = 1


# It is a ValueError too, so that a program that does not know genvx can catch it as one.
class InvalidInput(GenvxError, ValueError):
    """Wrong usage; refused before anything happened."""

    exit_code = 2


class CommandNotFound(InvalidInput):
    """The command to run does not exist; the message names the host if it is another one."""

    exit_code = 127

    def on(self, host: str) -> CommandNotFound:
        """Return the same error with the name of its host in front."""
        return type(self)(f"{host}: {self}")


class CommandNotExecutable(CommandNotFound):
    """The command to run exists, but is not an executable program."""

    exit_code = 126


class InvalidHostfile(InvalidInput):
    """A line of a hostfile cannot be read; the message names file, line and column."""


class InvalidRemotes(InvalidInput):
    """A file with remotes cannot be used; where that is one place, the message names file, line
    and column.
    """


class InvalidQuantity(InvalidInput):
    """A number, size or duration cannot be read, or is out of range."""


class ProjectChanged(InvalidInput):
    """A file of a project was changed while it was read or sent."""


class NotRunning(InvalidInput):
    """The machine of a remote is stopped, or was never started; the message says what starts it."""


class UnknownDevice(InvalidInput):
    """This host has no such device."""


class UnknownEnvironment(InvalidInput):
    """There is no such active environment."""


class UnknownHost(InvalidInput):
    """The hostfile has no such host."""


class UnknownRemote(InvalidInput):
    """There is no remote with this name."""


class UnknownRun(InvalidInput):
    """There is no such run, or several runs match."""


class NoCapacity(GenvxError):
    """No host can satisfy the request now; the message says what was wanted and what is available.

    `reasons`: why each host cannot, by its name. `waiting_helps`: whether the wanted devices exist
    but somebody holds them, so that they may become free; always True for an error from the wire.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        reasons: Optional[Mapping[str, str]] = None,
        *,
        waiting_helps: bool = True,
    ) -> None:
        super().__init__(message)
        self.reasons: Mapping[str, str] = dict(reasons or {})
        self.waiting_helps = waiting_helps


class Unsatisfiable(NoCapacity):
    """No host has enough devices of this kind, so waiting is of no use; the message says the most
    there is.
    """

    exit_code = 2


class WaitedTooLong(NoCapacity):
    """The time to wait is over; the ticket is withdrawn."""

    # As timeout(1) exits when its time is over.
    exit_code = 124


class HostError(GenvxError):
    """One host could not answer. `kind` is one word, for tables and programs."""

    exit_code = 4
    kind: str = "host"

    def __init__(self, message: str, *, kind: Optional[str] = None) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind


class HostUnreachable(HostError):
    """The host cannot be reached; `kind` is dns, refused, timeout or network."""

    kind = "network"


class HostLost(HostUnreachable):
    """The connection to a host in use is lost: a cut network, or no power."""

    kind = "lost"


class HostKeyError(HostError):
    """The host key is unknown, changed or revoked; such a key is never accepted silently."""

    kind = "host-key"


class AuthenticationFailed(HostError):
    """The host rejects our login."""

    kind = "auth"


class AgentError(HostError):
    """The agent on the host is missing, too old, or failed."""

    kind = "agent"


class ProtocolError(HostError):
    """The host answers, but not with SSH, or not as genvx does."""

    kind = "protocol"


class WorkerDied(HostError):
    """A worker of an executor ended while it had a call: a signal, no memory, or a lost host."""

    kind = "worker"


class DriverError(HostError):
    """NVML cannot be asked."""

    kind = "driver"


class CallFailed(GenvxError):
    """A function that an executor called raised an exception that cannot be raised here: it cannot
    be pickled, or is one like SystemExit. The message has its class and its text.
    """


class CloudError(GenvxError):
    """A cloud refuses, fails or does not answer. `code` is its own word for that, for programs, or
    empty.
    """

    exit_code = 4
    kind = "cloud"

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class CloudDenied(CloudError):
    """Our credentials do not allow it; the message names the action."""


class NotOwner(GenvxError, PermissionError):
    """The environment belongs to another user."""

    exit_code = 5


class StateError(GenvxError):
    """The state directory is unsafe, full or read-only."""

    exit_code = 6


class TreeMissing(StateError):
    """TreeMissing says that the code of a run is not on its host, and has to be sent."""


class FleetError(GenvxError):
    """Some hosts failed.

    `outcomes`: the result of every host, also of those that succeeded. `reasons`: where every host
    failed, why each did, by its name.
    """

    exit_code = 4

    def __init__(
        self, message: str, outcomes: Any = None, reasons: Optional[Mapping[str, str]] = None
    ) -> None:
        super().__init__(message)
        self.outcomes = outcomes
        self.reasons: Mapping[str, str] = dict(reasons or {})


def _tree(root: type[GenvxError]) -> dict[str, type[GenvxError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


def from_wire(name: str, message: str) -> GenvxError:
    """Make the error that a reply names; an unknown class name becomes an AgentError."""
    # A host with a newer genvx may name a class that we do not have. Only names in the tree of
    # GenvxError are looked up, so a hostile host cannot choose any other class.
    kind = _tree(GenvxError).get(name)
    return AgentError(message) if kind is None else kind(message)


__all__ = [
    "AgentError",
    "AuthenticationFailed",
    "CallFailed",
    "CloudDenied",
    "CloudError",
    "CommandNotExecutable",
    "CommandNotFound",
    "DriverError",
    "FleetError",
    "GenvxError",
    "HostError",
    "HostKeyError",
    "HostLost",
    "HostUnreachable",
    "InvalidHostfile",
    "InvalidInput",
    "InvalidQuantity",
    "InvalidRemotes",
    "NoCapacity",
    "NotOwner",
    "NotRunning",
    "ProtocolError",
    "StateError",
    "UnknownDevice",
    "UnknownEnvironment",
    "UnknownHost",
    "UnknownRemote",
    "UnknownRun",
    "Unsatisfiable",
    "WaitedTooLong",
    "WorkerDied",
    "from_wire",
]


def kind_of(error: GenvxError) -> str:
    """Return one word for a failure, for tables and programs."""
    if isinstance(error, (HostError, CloudError)):
        return error.kind
    return _WORDS.get(error.exit_code, "error")


# By exit code: errors that concern no single host have no `kind` of their own.
_WORDS = {2: "input", 3: "capacity", 5: "owner", 6: "state"}
