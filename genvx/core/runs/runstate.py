"""What became of a run: its states, which may follow which, and which one is shown.

The record says what the run's supervisor last wrote. Whether that is still true depends on the
leases and on the boot; `shown` answers it.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Optional, Union

from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.runs.run import End, Moment


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
    """The devices are held; what the command needs is being prepared, or it starts again soon."""

    since: Moment
    step: Step
    progress: str = ""


@value
class Running:
    """The command runs. devices: UUIDs. attempt: 1, or more after a retry. port: the one on which
    it serves, if it does.
    """

    since: Moment
    devices: tuple[str, ...]
    pid: int
    starttime: int
    attempt: int = 1
    port: Optional[int] = None


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
LIVE: tuple[str, ...] = tuple(word for word, kind in STATES.items() if kind not in _OVER)
"""The words of the states that are not final."""
OVER: tuple[str, ...] = tuple(word for word in STATES if word not in LIVE)
"""The words of the final states."""

# The states that may be written after each state; None: nothing was written yet. The four final
# states have no followers, so a late writer cannot change how a run ended.
_FOLLOWERS: Mapping[Optional[type[Any]], tuple[type[Any], ...]] = {
    None: (Waiting, Preparing, Failed),
    Waiting: (Waiting, Preparing, Failed, Stopped, Lost),
    Preparing: (Preparing, Running, Failed, Stopped, Lost),
    Running: (Preparing, Running, Held, Completed, Failed, Stopped, Lost),
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


def was_moved(state: RunState) -> bool:
    """Whether it was withdrawn from the line of its host, to start on another one."""
    return isinstance(state, Stopped) and state.why is StopReason.MOVED


def end_of(state: RunState) -> Optional[End]:
    """Return how the run's command ended; None if it has not ended, or that is unknown."""
    return getattr(state, "end", None)


def has_ended(state: RunState) -> bool:
    """Whether the command has ended; a held run is not over, but its command has."""
    return is_over(state) or end_of(state) is not None


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


def shown(
    state: RunState, signs: Signs, decided: Optional[RunState] = None
) -> tuple[RunState, str]:
    """Return a run's present state, given the last one that was written; and a note for people.

    decided: the final state that the supervisor wrote down before it gave the devices back.

    An end is never invented: if none was written and nothing of the run lives, the run is lost.
    """
    if is_over(state) or (signs.boot_matches and signs.supervised):
        return state, ""
    # A waiting run holds a ticket, not a lease; without its supervisor nobody takes its turn.
    if signs.boot_matches and signs.held and not isinstance(state, Waiting):
        return state, "nobody supervises it: its supervisor was killed"
    if decided is not None and is_over(decided) and may_follow(state, decided):
        return decided, ""
    # Its command has ended, and the record says how. Only the devices were kept.
    if isinstance(state, Held):
        return settled(state.end, state.since), ""
    # No process survives a reboot, so whatever the record says, the run is over.
    why = LossReason.KILLED if signs.boot_matches else LossReason.REBOOT
    return Lost(state.since, why), ""
