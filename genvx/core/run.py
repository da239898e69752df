"""What a run is: what was asked for, what became of it, and which change may follow which.

A run is an environment with a record. Its id is the environment's id. The record says what its
supervisor last wrote; whether that is still true is a question to the leases and to the boot, and
`shown` answers it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Optional, Union

from genvx.core.escalation import GRACE
from genvx.core.text import NAME_LIMIT, require_name
from genvx.core.value import field, value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.requirements import Requirements

MOST_TAGS = 32
MOST_RETRIES = 1000


class HoldWhen(str, Enum):
    """After which ends a run keeps its devices and its directory for a look."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"


@value
class Moment:
    """A point in time on a host.

    epoch_ns: by its wall clock, for people. boottime_ns: of CLOCK_BOOTTIME, for durations; it means
    something in one boot only.
    """

    epoch_ns: int
    boottime_ns: int

    def seconds_until(self, later: Moment) -> float:
        """Seconds from this moment to a later one of the same boot."""
        return max(0, later.boottime_ns - self.boottime_ns) / 1e9


@value
class RunSpec:
    """What was asked for. It never changes.

    argv: the words of the command. cwd: where it starts; empty is the run's own directory.
    variables: on top of the environment's. seconds: how long it may last. hold: seconds for which
    devices and directory stay after the end. retries: how often it starts again after a failure.
    grace: seconds between SIGTERM and SIGKILL. log_limit: bytes of its log that are kept. notify: a
    line for `sh -c` that runs at the end. submitter: user and host that asked, for people. machine:
    the id of the host that it belongs to, and host its name. restarted: the id of the run that it
    repeats.

    Raises:
        InvalidInput: something of it makes no sense.
    """

    id: str
    argv: tuple[str, ...]
    requirements: Requirements
    machine: str
    host: str
    submitted: Moment
    name: str = ""
    cwd: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    seconds: Optional[int] = None
    hold: Optional[int] = None
    hold_when: HoldWhen = HoldWhen.ALWAYS
    retries: int = 0
    grace: float = GRACE
    log_limit: Optional[int] = None
    tty: bool = False
    notify: str = ""
    submitter: str = ""
    version: str = ""
    restarted: str = ""

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise InvalidInput("no command to run")
        if any("\0" in word for word in (*self.argv, self.cwd, self.notify)):
            raise InvalidInput("a NUL character cannot be in a command or in a path")
        require_name(self.name)
        if not 0 <= self.retries <= MOST_RETRIES:
            raise InvalidInput(f"--retries is from 0 to {MOST_RETRIES}, not {self.retries}")


def require_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags, or raise InvalidInput that says what is wrong with them."""
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"a run has at most {MOST_TAGS} tags")
    for tag in tags:
        if not tag or len(tag) > NAME_LIMIT or not tag.isprintable() or "," in tag:
            raise InvalidInput("a tag has printable characters, without a comma")
    return tags


@value
class Usage:
    """What a run has used. Seconds and bytes; None where it is not known.

    gpu_memory: the most of one device at a time; gpu_utilization: percent, on average.
    """

    user: Optional[float] = None
    system: Optional[float] = None
    memory: Optional[int] = None
    gpu_memory: Optional[int] = None
    gpu_utilization: Optional[int] = None


@value
class End:
    """How a command ended: by itself with `code`, or by `signal`."""

    started: Moment
    ended: Moment
    code: Optional[int] = None
    signal: Optional[int] = None
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        if (self.code is None) == (self.signal is None):
            raise InvalidInput("a command ends with an exit code or by a signal")

    @property
    def exit_code(self) -> int:
        """As shells say it: 128 + the signal's number for one that was ended by a signal."""
        return 128 + self.signal if self.signal is not None else self.code or 0

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return self.started.seconds_until(self.ended)


class Step(str, Enum):
    """What is done before a command starts."""

    CODE = "code"
    PYTHON = "python"
    SETUP = "setup"
    START = "start"


class StopReason(str, Enum):
    """Why a run was stopped."""

    ASKED = "asked"
    TIME = "time"
    POLICY = "policy"
    GANG = "gang"
    MOVED = "moved"


class LossReason(str, Enum):
    """Why nobody knows how a run ended."""

    REBOOT = "reboot"
    KILLED = "supervisor killed"


# The states. Each carries its own data, so that one cannot have what belongs to another.


@value
class Waiting:
    """Its supervisor has a ticket in the line."""

    since: Moment
    place: int
    reason: str = ""


@value
class Preparing:
    """Devices are held, and what the command needs is being made."""

    since: Moment
    step: Step
    progress: str = ""


@value
class Running:
    """The command runs. devices: UUIDs. attempt: 1, or more after a retry."""

    since: Moment
    devices: tuple[str, ...]
    pid: int
    starttime: int
    attempt: int = 1


@value
class Held:
    """The command has ended; devices and directory are kept for a look until `until`."""

    since: Moment
    until: Moment
    end: End


@value
class Completed:
    """The command ended with exit code 0."""

    since: Moment
    end: End


@value
class Failed:
    """The command failed, or never started: then `step` and `why` say what did."""

    since: Moment
    end: Optional[End] = None
    step: Optional[Step] = None
    why: str = ""


@value
class Stopped:
    """It was ended. by: the uid. end: None if the command had not started."""

    since: Moment
    why: StopReason
    by: int
    end: Optional[End] = None


@value
class Lost:
    """Nobody has written its end, and nothing of it lives. since: when it was last heard of."""

    since: Moment
    why: LossReason


RunState = Union[Waiting, Preparing, Running, Held, Completed, Failed, Stopped, Lost]
STATES: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Waiting, Preparing, Running, Held, Completed, Failed, Stopped, Lost)
}

_OVER = (Completed, Failed, Stopped, Lost)

# What may be written after what. None: nothing was written yet.
_FOLLOWERS: Mapping[Optional[type[Any]], tuple[type[Any], ...]] = {
    None: (Waiting, Preparing, Failed),
    Waiting: (Waiting, Preparing, Failed, Stopped, Lost),
    Preparing: (Preparing, Running, Failed, Stopped, Lost),
    Running: (Running, Held, Completed, Failed, Stopped, Lost),
    Held: (Completed, Failed, Stopped, Lost),
    Completed: (),
    Failed: (),
    Stopped: (),
    Lost: (),
}


def name_of(state: RunState) -> str:
    """The word for a state: "waiting", "running" and so on."""
    return type(state).__name__.lower()


def is_over(state: RunState) -> bool:
    """Whether nothing can follow a state."""
    return isinstance(state, _OVER)


def end_of(state: RunState) -> Optional[End]:
    """How the command of a run ended; None if it has not ended, or that is not known."""
    return getattr(state, "end", None)


def may_follow(before: Optional[RunState], after: RunState) -> bool:
    """Whether a state may be written after another. A held run keeps the end that it had."""
    if type(after) not in _FOLLOWERS[None if before is None else type(before)]:
        return False
    return not (isinstance(before, Held) and end_of(after) not in (before.end, None))


def settled(end: End, since: Moment) -> RunState:
    """The state of a run whose command ended by itself."""
    return Completed(since, end) if end.exit_code == 0 else Failed(since, end)


@value
class Signs:
    """What else is known of a run when its record is read. To be gathered before that: an end that
    is written in between is read then, instead of being missed.

    boot_matches: the record is of this boot. supervised: its supervisor lives. held: somebody holds
    its lease.
    """

    boot_matches: bool
    supervised: bool
    held: bool


def shown(state: RunState, signs: Signs) -> tuple[RunState, str]:
    """The state of a run as it is, given the last one that was written; and a note for people.

    An end is never invented: where none was written and nothing of the run lives, it is lost.
    """
    if is_over(state) or (signs.boot_matches and signs.supervised):
        return state, ""
    if not signs.boot_matches:
        return Lost(state.since, LossReason.REBOOT), ""
    if signs.held and not isinstance(state, Waiting):
        return state, "nobody supervises it: its supervisor was killed"
    return Lost(state.since, LossReason.KILLED), ""


@value
class Run:
    """A run as its host shows it now.

    note: a line for people about its state. label, tags: what people have called it since.
    log_bytes: the size of its log. deleted: whether it lies in the trash.
    """

    spec: RunSpec
    state: RunState
    note: str = ""
    label: str = ""
    tags: tuple[str, ...] = ()
    log_bytes: int = 0
    deleted: bool = False

    @property
    def id(self) -> str:
        """The id of the run and of its environment."""
        return self.spec.id

    @property
    def age_key(self) -> tuple[int, str]:
        """Sorts runs of all hosts, oldest first."""
        return (self.spec.submitted.epoch_ns, self.id)
