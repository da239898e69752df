"""Which runs a user means by what they type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runstate import STATES, Waiting, is_over, name_of, was_moved
from genvx.core.text import is_identifier, printable
from genvx.core.value import value
from genvx.errors import InvalidInput, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genvx.core.runs.runinfo import RunInfo

# "1" is the latest run, "2" the one before. More digits are read as an id: ids are hexadecimal and
# may have digits only.
_DIGITS = 3
_SHORTEST_PREFIX = 4
_MOST_SHOWN = 8
# So many a list shows if nothing else is said.
NEWEST = 50
# So many lines of a log are the most that can be asked for.
MOST_LINES = 10_000


@value
class Filter:
    """A filter for a listing; a run must match all that is given.

    states: words, of which one must match. tags: all must match. since_epoch_ns: submitted then or
    later.

    Raises:
        InvalidInput: there is no such state.
    """

    states: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    name: Optional[str] = None
    since_epoch_ns: Optional[int] = None

    def __post_init__(self) -> None:
        for state in self.states:
            if state not in STATES:
                raise InvalidInput(
                    f"no state {printable(state, 40)!r}; states are {', '.join(STATES)}"
                )

    def matches(self, run: RunInfo) -> bool:
        """Whether a run matches."""
        return (
            (not self.states or name_of(run.state) in self.states)
            and set(self.tags) <= set(run.tags)
            and (self.name is None or self.name in (run.spec.name, run.label))
            and (self.since_epoch_ns is None or run.spec.submitted.epoch_ns >= self.since_epoch_ns)
        )


def newest_first(runs: Iterable[RunInfo]) -> list[RunInfo]:
    """Sort runs of one or more hosts in the order in which numbers count them."""
    return sorted(runs, key=lambda run: run.age_key, reverse=True)


def without_moved(runs: Sequence[RunInfo]) -> list[RunInfo]:
    """Leave out what a run has left on hosts from which it has moved, once it is on another.

    A run keeps its id when it moves. Where it has not arrived anywhere, the latest record is kept.
    """
    kept: dict[str, RunInfo] = {}
    for run in runs:
        if was_moved(run.state):
            other = kept.get(run.id)
            if other is None or run.state.since.epoch_ns > other.state.since.epoch_ns:
                kept[run.id] = run
    arrived = {run.id for run in runs if not was_moved(run.state)}
    return [
        run
        for run in runs
        if not was_moved(run.state) or (run.id not in arrived and kept[run.id] is run)
    ]


def require_waiting(run: RunInfo, typed: str = "genvx remote") -> None:
    """Raise InvalidInput if a run does not wait: then it cannot move. typed: as for `find`."""
    if was_moved(run.state):
        raise InvalidInput(
            f"run {run.id} was withdrawn already; {typed} runs restart {run.id} starts it anew"
        )
    if run.spec.part is not None:
        raise InvalidInput(f"run {run.id} is on several hosts; only a run on one host can move")
    if not isinstance(run.state, Waiting):
        raise InvalidInput(f"run {run.id} is {name_of(run.state)}; only a waiting run can move")


@value
class Chosen:
    """What somebody typed to mean a run. count: for a number, how many of the newest runs must be
    known to tell which one that is; None for anything else.
    """

    text: str
    count: Optional[int]

    def matches(self, run: RunInfo) -> bool:
        """Whether an id, a prefix or a name may mean this run."""
        return self.text in (run.id, run.spec.name, run.label) or self.is_beginning_of(run.id)

    def is_beginning_of(self, identifier: str) -> bool:
        """Whether it is the beginning of an id, and long enough to mean it."""
        return self.count is None and _is_prefix(self.text, identifier)


def chosen(wanted: str) -> Chosen:
    """Understand what somebody typed; nothing is the latest run."""
    if not wanted:
        return Chosen(wanted, 1)
    # By its length: an id or a prefix of one may begin with zeros.
    if wanted.isdecimal() and wanted.isascii() and len(wanted) <= _DIGITS:
        return Chosen(wanted, int(wanted))
    return Chosen(wanted, None)


def find(
    runs: Sequence[RunInfo], wanted: str = "", *, deleted: bool = False, typed: str = "genvx"
) -> RunInfo:
    """Find the run that a user means; the latest if `wanted` is empty.

    wanted: an id, a unique prefix of one (4 characters or more), a name, a label, or a number: 1 is
    the latest run, 2 the one before. An id comes before a name, and a name before a prefix. A name
    that several runs have means the only one of them that is not over.
    deleted: whether they are those in the trash. typed: what people type before `runs` to list
    them. Both are for the message.

    Raises:
        UnknownRun: no run matches, or several do.
    """
    ordered = newest_first(without_moved(runs))
    where = " in the trash" if deleted else ""
    number = chosen(wanted).count
    if number is not None:
        if number == 0:
            raise UnknownRun(f"no run 0{where}; 1 is the latest")
        if number > len(ordered):
            raise UnknownRun(
                f"no run {number}{where}; there are {len(ordered)}"
                if ordered
                else f"there are no runs{where}"
            )
        return ordered[number - 1]
    named = [run for run in ordered if wanted in (run.spec.name, run.label)]
    found = (
        [run for run in ordered if run.id == wanted]
        or _the_live_one(named)
        or named
        or [run for run in ordered if _is_prefix(wanted, run.id)]
    )
    if len(found) == 1:
        return found[0]
    shown = printable(wanted, 60)
    if not found:
        option = "--deleted" if deleted else "-a"
        raise UnknownRun(f"no run {shown!r}{where}; {typed} runs {option} lists all")
    listed = ", ".join(f"{run.id} ({name_of(run.state)})" for run in found[:_MOST_SHOWN])
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    raise UnknownRun(f"several runs match {shown!r}; give the id: {listed}{more}")


def _the_live_one(named: Sequence[RunInfo]) -> list[RunInfo]:
    """The only one of them that is not over; none if there are more."""
    alive = [run for run in named if not is_over(run.state)]
    return alive if len(alive) == 1 else []


def _is_prefix(wanted: str, identifier: str) -> bool:
    return (
        len(wanted) >= _SHORTEST_PREFIX and is_identifier(wanted) and identifier.startswith(wanted)
    )
