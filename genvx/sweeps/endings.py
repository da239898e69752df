"""How a trial has ended, by how its run has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from genvx.core.runs.runstate import Failed, Lost, Stopped, StopReason, end_of
from genvx.core.sweeps import outcome
from genvx.core.value import value
from genvx.sweeps.trial import Stage

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.sweeps.outcome import Outcome
    from genvx.sweeps.trial import Trial


@value
class Ending:
    """The end of a trial. stage: one of the ends. why: of a failure, in a line."""

    stage: Stage
    value: float | None = None
    why: str = ""
    seconds: float | None = None
    exit_code: int | None = None


def ending_of(trial: Trial, run: RunInfo) -> Ending | None:
    """Return how a trial has ended whose run is over; None if nobody knows, so that it is asked
    again.
    """
    state, end = run.state, end_of(run.state)
    seconds = None if end is None else end.seconds
    code = None if end is None else end.exit_code
    if isinstance(state, Lost):
        return None
    if isinstance(state, Stopped):
        if trial.pruned_at is not None:
            return Ending(Stage.PRUNED, trial.value, "", seconds, code)
        if state.why is StopReason.TIME:
            return Ending(Stage.FAILED, trial.value, "its time was over", seconds, code)
        return Ending(Stage.CANCELLED, trial.value, "", seconds, code)
    if code == 0:
        if trial.value is not None and not math.isfinite(trial.value):
            why = f"it reported {trial.value}"
            return Ending(Stage.FAILED, trial.value, why, seconds, code)
        return Ending(Stage.COMPLETED, trial.value, "", seconds, code)
    why = state.why if isinstance(state, Failed) and state.why else f"exit code {code}"
    return Ending(Stage.FAILED, trial.value, why, seconds, code)


def outcome_of(trial: Trial) -> Outcome:
    """Return the end of a trial as a tuner is told of it."""
    if trial.stage is Stage.COMPLETED:
        return outcome.completed(trial.value)
    if trial.stage is Stage.PRUNED and trial.value is not None:
        return outcome.Pruned(trial.pruned_at or 0, trial.value)
    if trial.stage is Stage.FAILED:
        return outcome.Failed(trial.why)
    return outcome.Cancelled()
