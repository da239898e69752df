"""Runs as a history has them, and when they began and ended by their records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.runs.runstate import Running, end_of, is_over, name_of

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo


def times_of(run: RunInfo) -> tuple[float | None, float | None]:
    """Return when the command of a run started and ended, in seconds since the epoch; None where
    it has not, or nobody knows.

    Both are by the host's wall clock; how long it took is by a clock that never jumps.
    """
    end = end_of(run.state)
    if end is not None:
        started = end.started.epoch_ns / 1e9
        return started, started + end.seconds
    if isinstance(run.state, Running):
        return run.state.since.epoch_ns / 1e9, None
    return None, run.state.since.epoch_ns / 1e9 if is_over(run.state) else None


def run_row(host: int, run: RunInfo) -> tuple[object, ...]:
    """Return the row of a run, in the order of its table."""
    started, ended = times_of(run)
    end = end_of(run.state)
    return (
        host,
        run.id,
        run.rank,
        run.label or run.spec.name,
        "" if run.spec.project is None else run.spec.project.name,
        name_of(run.state),
        run.spec.submitted.epoch_ns / 1e9,
        started,
        ended,
        run.spec.requirements.gpus,
        None if end is None else end.exit_code,
    )
