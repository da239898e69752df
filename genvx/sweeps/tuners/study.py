"""Tuners of Optuna: a study in memory, asked and told.

The sampler is made anew for each trial, with a seed of the sweep's and the trial's number. So what
is asked next depends on nothing but the trials before, and a study that is rebuilt from a journal
goes on as the first would have.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING, Any

from genvx.core.sweeps.outcome import Completed, Pruned
from genvx.errors import InvalidInput
from genvx.sweeps.tuners.axes import Axes
from genvx.sweeps.tuners.own import Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters
    from genvx.core.sweeps.space import SearchSpace


class StudyTuner:
    """StudyTuner is a tuner of Optuna.

    make: makes a sampler of a seed. remembers: whether the sampler keeps something with each trial
    that it has sampled, so that it must also see those that are adopted.
    """

    def __init__(
        self,
        optuna: Any,
        space: SearchSpace,
        goal: Goal,
        seed: int,
        make: Callable[[int], Any],
        *,
        remembers: bool = False,
    ) -> None:
        self._optuna = optuna
        self._axes = Axes(space, optuna)
        self._seen = Seen(space)
        self._seed = seed
        self._make = make
        self._remembers = remembers
        self._snapping = _snapping(optuna)
        self._study = optuna.create_study(
            direction=goal.value, sampler=optuna.samplers.RandomSampler(seed)
        )
        self._trials: dict[int, Any] = {}
        self._steps: dict[int, set[int]] = {}

    def ask(self, number: int) -> Parameters | None:
        """Return the parameters of the trial `number`; None if the space is used up."""
        if self._seen.all:
            return None
        trial, parameters = self._asked(number)
        if parameters in self._seen:
            # A sampler may well propose what it has proposed before. In a finite space that trial
            # would be wasted.
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            other = self._seen.another(Random(f"{self._seed}:{number}"))
            if other is None:
                return None
            trial, parameters = self._asked(number, self._axes.inner(other))
        self._keep(number, trial, parameters)
        return parameters

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Take note of parameters that `ask` returned before a restart.

        Raises:
            InvalidInput: they are not of this space.
        """
        inner = self._axes.inner(parameters)
        if number in self._trials:
            raise InvalidInput(f"trial {number} was asked already")
        trial, found = self._asked(number, inner)
        self._keep(number, trial, found)

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; never end a trial: that is for pruners."""
        steps = self._steps.get(number)
        if steps is not None and step not in steps and math.isfinite(value):
            steps.add(step)
            self._trials[number].report(value, step)
        return False

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""
        steps = self._steps.pop(number, None)
        if steps is None:
            return
        trial, states = self._trials[number], self._optuna.trial.TrialState
        if isinstance(outcome, Completed) and outcome.value is not None:
            self._study.tell(trial, outcome.value)
        elif isinstance(outcome, Pruned) and steps:
            self._study.tell(trial, state=states.PRUNED)
        else:
            self._study.tell(trial, state=states.FAIL)

    def _asked(self, number: int, fixed: Mapping[str, Any] | None = None) -> tuple[Any, Parameters]:
        """Return a new trial of the study and its parameters; those that are given if they are."""
        if fixed is None or self._remembers:
            sampler = self._make(Random(f"{self._seed}:{number}").getrandbits(32))
        else:
            # It has nothing to choose here, and some take long for what they do before.
            sampler = self._optuna.samplers.RandomSampler(self._seed)
        self._study.sampler = self._snapping(self._axes, sampler, fixed)
        trial = self._study.ask()

        def suggest(axis: Any) -> Any:
            of = axis.distribution
            kinds = self._optuna.distributions
            if isinstance(of, kinds.CategoricalDistribution):
                return trial.suggest_categorical(axis.name, of.choices)
            if isinstance(of, kinds.IntDistribution):
                return trial.suggest_int(axis.name, of.low, of.high, step=of.step, log=of.log)
            return trial.suggest_float(axis.name, of.low, of.high, log=of.log)

        return trial, self._axes.suggested(suggest)

    def _keep(self, number: int, trial: Any, parameters: Parameters) -> None:
        self._seen.add(parameters)
        self._trials[number] = trial
        self._steps[number] = set()


def _snapping(optuna: Any) -> Any:
    """Return a class of samplers that propose only values which stand for exactly one of ours, or
    those that they are given.
    """

    class Snapping(optuna.samplers.BaseSampler):  # type: ignore[misc]
        def __init__(self, axes: Axes, sampler: Any, fixed: Mapping[str, Any] | None) -> None:
            self._axes = axes
            self._sampler = sampler
            self._fixed = fixed

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._sampler.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            found = self._sampler.sample_relative(study, trial, search_space)
            return {name: self._chosen(name, inner) for name, inner in found.items()}

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            if self._fixed is not None:
                return self._fixed[name]
            found = self._sampler.sample_independent(study, trial, name, distribution)
            return self._axes.snapped(name, found)

        def _chosen(self, name: str, inner: Any) -> Any:
            if self._fixed is not None and name in self._fixed:
                return self._fixed[name]
            return self._axes.snapped(name, inner)

        def before_trial(self, study: Any, trial: Any) -> None:
            self._sampler.before_trial(study, trial)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            self._sampler.after_trial(study, trial, state, values)

    return Snapping


__all__ = ["StudyTuner"]
