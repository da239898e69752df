"""Runs: what was asked for, what became of it, and which state may follow which.

A run is an environment with a record; both have the same id. The record says what the run's
supervisor last wrote. Whether that is still true depends on the leases and on the boot; `shown`
answers it.
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
    """After which ends a run keeps its devices and its directory for inspection."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"


@value
class Moment:
    """A point in time on a host.

    epoch_ns: by the host's wall clock, for people. boottime_ns: of CLOCK_BOOTTIME, for durations;
    comparable only within one boot.
    """

    epoch_ns: int
    boottime_ns: int

    def seconds_until(self, later: Moment) -> float:
        """Return the seconds from this moment to a later one of the same boot."""
        return max(0, later.boottime_ns - self.boottime_ns) / 1e9


@value
class RunSpec:
    """What was asked for; it never changes.

    id: made up by whoever submits it. argv: the words of the command. cwd: where it starts, counted
    from the home; empty is the run's own directory. variables: on top of the environment's.
    seconds: how long it may last. hold: seconds for which devices and directory stay after the end.
    retries: how often it starts again after a failure. grace: seconds between SIGTERM and SIGKILL.
    log_limit: bytes of its log that are kept. notify: a line for `sh -c` that runs at the end.
    submitter: user and host that asked, for people. machine: the id of the host that it belongs to,
    and host its name. restarted: the id of the run that it repeats.

    Raises:
        InvalidInput: a field makes no sense.
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
    """The resources that a run has used, in seconds and bytes; None where unknown.

    gpu_memory: the peak of a single device. gpu_utilization: percent, on average.
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
        # One of the two, so that no reader has to guess what a record with both, or none, means.
        if (self.code is None) == (self.signal is None):
            raise InvalidInput("a command ends with an exit code or by a signal")

    @property
    def exit_code(self) -> int:
        """The exit code as shells report it: 128 + the signal's number if a signal ended the
        command.
        """
        return 128 + self.signal if self.signal is not None else self.code or 0

    @property
    def seconds(self) -> float:
        """How long the command ran."""
        return self.started.seconds_until(self.ended)


class Step(str, Enum):
    """A step before the command starts."""

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
    """Why it is unknown how a run ended."""

    REBOOT = "reboot"
    KILLED = "supervisor killed"


# The states. Each class carries its own data, so a waiting run cannot have a pid by mistake, and a
# completed one always has its end.


@value
class Waiting:
    """The supervisor waits for devices with a ticket in the line."""

    since: Moment
    place: int
    reason: str = ""


@value
class Preparing:
    """The devices are held, and what the command needs is being prepared."""

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
    """The command has ended; devices and directory are kept for inspection until `until`."""

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
    """The command failed, or never started; then `step` and `why` say what failed."""

    since: Moment
    end: Optional[End] = None
    step: Optional[Step] = None
    why: str = ""


@value
class Stopped:
    """The run was ended on purpose; `why` says for what reason.

    by: the uid that ended it. end: None if the command had not started.
    """

    since: Moment
    why: StopReason
    by: int
    end: Optional[End] = None


@value
class Lost:
    """Nobody has recorded the run's end, and nothing of it lives. since: its last sign of life."""

    since: Moment
    why: LossReason


RunState = Union[Waiting, Preparing, Running, Held, Completed, Failed, Stopped, Lost]
STATES: Mapping[str, type[Any]] = {
    kind.__name__.lower(): kind
    for kind in (Waiting, Preparing, Running, Held, Completed, Failed, Stopped, Lost)
}

_OVER = (Completed, Failed, Stopped, Lost)

# The states that may be written after each state; None: nothing was written yet. The four final
# states have no followers, so a late writer cannot change how a run ended.
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
    """Return the word for a state: "waiting", "running" and so on."""
    return type(state).__name__.lower()


def is_over(state: RunState) -> bool:
    """Whether a state is final."""
    return isinstance(state, _OVER)


def end_of(state: RunState) -> Optional[End]:
    """Return how the run's command ended; None if it has not ended, or that is unknown."""
    return getattr(state, "end", None)


def may_follow(before: Optional[RunState], after: RunState) -> bool:
    """Whether a state may be written after another; a held run keeps its end."""
    if type(after) not in _FOLLOWERS[None if before is None else type(before)]:
        return False
    # A later writer may know that a held run was stopped or lost, but not how its command ended.
    return not (isinstance(before, Held) and end_of(after) not in (before.end, None))


def settled(end: End, since: Moment) -> RunState:
    """Return the final state of a run whose command ended by itself."""
    return Completed(since, end) if end.exit_code == 0 else Failed(since, end)


@value
class Signs:
    """What is known of a run besides its record.

    Gather this before reading the record: an end that is written in between is then read, not
    missed.

    boot_matches: whether the record is of this boot. supervised: whether its supervisor lives.
    held: whether a process holds its lease.
    """

    boot_matches: bool
    supervised: bool
    held: bool


def shown(state: RunState, signs: Signs) -> tuple[RunState, str]:
    """Return a run's present state, given the last one that was written; and a note for people.

    An end is never invented: if none was written and nothing of the run lives, the run is lost.
    """
    if is_over(state) or (signs.boot_matches and signs.supervised):
        return state, ""
    # No process survives a reboot, so whatever the record says, the run is over.
    if not signs.boot_matches:
        return Lost(state.since, LossReason.REBOOT), ""
    # A waiting run holds a ticket, not a lease; without its supervisor nobody takes its turn.
    if signs.held and not isinstance(state, Waiting):
        return state, "nobody supervises it: its supervisor was killed"
    return Lost(state.since, LossReason.KILLED), ""


@value
class RunInfo:
    """A run as its host shows it now.

    note: a line for people about its state. label, tags: what people called it later. log_bytes:
    the size of its log. deleted: whether it is in the trash.
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
    def label_or_id(self) -> str:
        """What people are shown for it: the id, and how it is called."""
        name = self.label or self.spec.name
        return f"{self.id} ({name})" if name else self.id

    @property
    def age_key(self) -> tuple[int, str]:
        """The key that sorts runs of all hosts, oldest first."""
        # The wall clock, for CLOCK_BOOTTIME cannot be compared between hosts or boots.
        return (self.spec.submitted.epoch_ns, self.id)


@value
class LogPiece:
    """Bytes of a log. at: the offset of the first. missing: how many before it were freed."""

    at: int
    data: bytes
    missing: int = 0
