"""Gangs that go on without a client: one command on several hosts, a run with the same id on each.

Which runs are parts of one gang, and what is said of all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runstate import (
    Held,
    Lost,
    Preparing,
    Running,
    Stopped,
    StopReason,
    Waiting,
    end_of,
    is_over,
)
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.runs.runstate import RunState

# The exit code of a part whose command has not started, or whose end nobody knows.
NO_CODE = 1

# Which state is shown for all parts: of those that are alive the one that is furthest back.
_LIVE = (Waiting, Preparing, Running, Held)


def require_no_retries(retries: int) -> None:
    """Raise InvalidInput if a run on several hosts is to be tried again after a failure."""
    if retries:
        raise InvalidInput("--retries does not go with --nodes: the other nodes would be ended")


def together(places: Iterable[tuple[str, RunInfo]]) -> list[tuple[tuple[str, RunInfo], ...]]:
    """Put the parts of each gang together, by rank. Other runs are alone.

    places: runs with the names of their hosts; the order of the first of each is kept.
    """
    found: dict[object, dict[int, tuple[str, RunInfo]]] = {}
    for number, (host, run) in enumerate(places):
        part = run.spec.part
        key: object = number if part is None else (run.id, part.nodes)
        # A machine that the hostfile lists twice shows a part twice.
        found.setdefault(key, {}).setdefault(0 if part is None else part.rank, (host, run))
    return [tuple(parts[rank] for rank in sorted(parts)) for parts in found.values()]


def decisive(parts: Sequence[RunInfo]) -> RunInfo:
    """The part whose state tells most about all of them.

    While some are alive: one that is not as far as the others. Then: the first that failed by
    itself; the others were ended because of it.
    """
    living = [run for run in parts if not is_over(run.state)]
    if living:
        return min(living, key=lambda run: _LIVE.index(type(run.state)))
    return min(parts, key=lambda run: (_blame(run.state), _ended(run)))


def exit_code(parts: Sequence[RunInfo]) -> Optional[int]:
    """The exit code of the first part that failed, or 0; None while the command runs somewhere."""
    if any(not is_over(run.state) and end_of(run.state) is None for run in parts):
        return None
    first = min(parts, key=lambda run: (_blame(run.state), _ended(run)))
    end = end_of(first.state)
    return NO_CODE if end is None else end.exit_code


def _blame(state: RunState) -> int:
    """How far an end is from being the reason for the others: 0 is the reason itself."""
    if isinstance(state, Stopped):
        return 2 if state.why is StopReason.GANG else 0
    if isinstance(state, Lost):
        return 1  # when it ended is not known
    end = end_of(state)
    return 0 if end is None or end.exit_code else 3


def _ended(run: RunInfo) -> int:
    end = end_of(run.state)
    return run.state.since.epoch_ns if end is None else end.ended.epoch_ns
