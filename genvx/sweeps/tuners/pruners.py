"""Pruners: which trials fall behind, by the values that they report on the way."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Protocol

from genvx.core.sweeps.outcome import Completed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters
    from genvx.sweeps.tuners.tuner import Tuner


class Pruner(Protocol):
    """Pruner says which trials are ended early. It gets the same calls as a Tuner."""

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; return whether the trial falls behind."""

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""


class Median:
    """Median ends a trial whose best value so far is worse than the median of completed trials.

    Each of those counts with the mean of what it had reported up to the same step. start_step: how
    many values a trial reports before it can be ended. trials: how many must be completed before.
    """

    def __init__(self, goal: Goal, *, start_step: int = 0, trials: int = 5) -> None:
        self._goal = goal
        self._start = start_step
        self._trials = trials
        self._going: dict[int, dict[int, float]] = {}
        self._completed: list[dict[int, float]] = []

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; return whether the trial falls behind."""
        reports = self._going.setdefault(number, {})
        reports.setdefault(step, value)
        if len(reports) < self._start or len(self._completed) < self._trials:
            return False
        means = [mean for mean in (_mean(each, step) for each in self._completed) if mean == mean]
        if not means:
            return False
        return self._goal.better(statistics.median(means), _best(self._goal, reports.values()))

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""
        reports = self._going.pop(number, {})
        if isinstance(outcome, Completed) and reports:
            self._completed.append(reports)


class Asha:
    """Asha ends a trial that is not among the best of its rung, without waiting for the others
    (asynchronous successive halving).

    Rungs are after min_steps, min_steps x reduction, min_steps x reduction² steps, and so on; steps
    are counted from 0, so step 0 is the first. Of the trials that have reached a rung, the best
    1/reduction go on.
    """

    def __init__(self, goal: Goal, *, min_steps: int = 1, reduction: int = 3) -> None:
        self._goal = goal
        self._least = min_steps
        self._reduction = reduction
        self._going: dict[int, list[float]] = {}
        # How many rungs each trial has reached, and what those that reached a rung had as best.
        self._reached: dict[int, int] = {}
        self._rungs: list[list[float]] = []

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; return whether the trial falls behind."""
        values = self._going.setdefault(number, [])
        values.append(value)
        behind = False
        while step + 1 >= self._least * self._reduction ** self._reached.get(number, 0):
            at = self._reached.get(number, 0)
            self._reached[number] = at + 1
            if at == len(self._rungs):
                self._rungs.append([])
            best = _best(self._goal, values)
            rung = self._rungs[at]
            rung.append(best)
            ahead = sum(self._goal.better(other, best) for other in rung)
            # A trial whose values are no numbers is never among the best.
            behind |= ahead >= max(1, len(rung) // self._reduction) or not math.isfinite(best)
        return behind

    def tell(self, number: int, outcome: Outcome) -> None:
        """Forget what is not needed of a trial that has ended."""
        self._going.pop(number, None)
        self._reached.pop(number, None)


class Pruning:
    """Pruning is a tuner with a pruner beside it."""

    def __init__(self, tuner: Tuner, pruner: Pruner) -> None:
        self._tuner = tuner
        self._pruner = pruner

    def ask(self, number: int) -> Parameters | None:
        """Return the parameters of the trial `number`; None if the space is used up."""
        return self._tuner.ask(number)

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Take note of parameters that were asked before a restart."""
        self._tuner.adopt(number, parameters)

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; return whether to end the trial."""
        ends = self._tuner.reported(number, step, value)
        return self._pruner.reported(number, step, value) or ends

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""
        self._tuner.tell(number, outcome)
        self._pruner.tell(number, outcome)


def _best(goal: Goal, values: Iterable[float]) -> float:
    best = math.nan
    for each in values:
        if goal.better(each, best):
            best = each
    return best


def _mean(reports: dict[int, float], step: int) -> float:
    """Return the mean of the finite values up to a step; NaN if there are none."""
    values = [each for at, each in reports.items() if at <= step and math.isfinite(each)]
    return statistics.fmean(values) if values else math.nan


__all__ = ["Asha", "Median", "Pruner", "Pruning"]
