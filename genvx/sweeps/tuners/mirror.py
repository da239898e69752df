"""Sweeps as studies of Optuna: shown live by optuna-dashboard, or written to a file afterwards.

Such a study is a copy. Nothing is read from it, so a slow or broken one never harms a sweep.
"""

from __future__ import annotations

import math
import os
import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from genvx.core.sweeps.dimensions import BRANCH, Branch, Choice, Normal, Whole
from genvx.core.sweeps.outcome import Completed, Pruned
from genvx.core.sweeps.parameters import text_of
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.sweeps.tuners.optunadoor import optuna, storage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from genvx.core.sweeps.dimensions import Dimension
    from genvx.core.sweeps.goal import Goal
    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters
    from genvx.core.sweeps.space import SearchSpace

_NUMBER = "genvx_trial"
_CLOSING = 30.0


@dataclass(frozen=True)
class TrialRecord:
    """A trial of a sweep, for export. outcome: None while it runs. reported: values by step."""

    number: int
    parameters: Parameters
    outcome: Outcome | None = None
    reported: Mapping[int, float] = field(default_factory=dict)


class Mirror:
    """Mirror keeps a study in a storage of Optuna as a sweep is; from a thread of its own.

    storage: a URL such as sqlite:///sweep.db, or the path of a journal file. name: of the study,
    which goes on if it is there. tell: called once, from that thread, if the storage fails; then
    nothing more is written.

    Raises:
        InvalidInput: Optuna is missing, or the storage cannot be opened.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        space: SearchSpace,
        goal: Goal,
        tell: Callable[[str], object] = lambda line: None,
    ) -> None:
        self._optuna = optuna("--optuna-storage")
        self._storage = storage
        self._tell = tell
        self._shown = Shown(space, self._optuna)
        try:
            self._study = self._optuna.create_study(
                storage=_opened(self._optuna, storage),
                study_name=name,
                direction=goal.value,
                sampler=self._optuna.samplers.RandomSampler(),
                load_if_exists=True,
            )
            found = {
                each.user_attrs[_NUMBER]: each
                for each in self._study.get_trials(deepcopy=False)
                if _NUMBER in each.user_attrs
            }
        except storage_errors(self._optuna) as error:
            raise InvalidInput(
                f"the Optuna storage {_without_password(storage)} cannot be used: "
                f"{self._why(error)}"
            ) from None
        self._known = set(found)
        # Those that have not ended, each with the steps that it has reported.
        self._going = {
            number: (self._trial(frozen), set(frozen.intermediate_values))
            for number, frozen in found.items()
            if not frozen.state.is_finished()
        }
        self._acts: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="optuna-mirror", daemon=True)
        self._thread.start()

    def asked(self, number: int, parameters: Parameters) -> None:
        """Show a trial as running."""
        self._acts.put(lambda: self._asked(number, parameters))

    def reported(self, number: int, step: int, value: float) -> None:
        """Show a value on the way."""
        self._acts.put(lambda: self._reported(number, step, value))

    def told(self, number: int, outcome: Outcome) -> None:
        """Show how a trial has ended."""
        self._acts.put(lambda: self._told(number, outcome))

    def close(self) -> None:
        """Wait until all is written, at most half a minute."""
        self._acts.put(None)
        self._thread.join(_CLOSING)

    def _work(self) -> None:
        while True:
            act = self._acts.get()
            if act is None:
                return
            try:
                act()
            except storage_errors(self._optuna) as error:
                self._tell(
                    f"the Optuna storage {_without_password(self._storage)} fails, and is written "
                    f"no longer: {self._why(error)}"
                )
                return

    def _asked(self, number: int, parameters: Parameters) -> None:
        if number in self._known:
            return
        values, distributions = self._shown.of(parameters)
        self._study.enqueue_trial(values, user_attrs={_NUMBER: number})
        self._known.add(number)
        self._going[number] = (self._study.ask(distributions), set())

    def _reported(self, number: int, step: int, value: float) -> None:
        trial, steps = self._going.get(number, (None, set()))
        if trial is not None and math.isfinite(value) and step not in steps:
            steps.add(step)
            trial.report(value, step)

    def _told(self, number: int, outcome: Outcome) -> None:
        trial, _ = self._going.pop(number, (None, set()))
        if trial is not None:
            state, value = _ending(self._optuna, outcome)
            self._study.tell(trial, value, state=state)

    def _trial(self, frozen: Any) -> Any:
        """Return a trial that another process of ours has begun."""
        return self._optuna.trial.Trial(self._study, frozen._trial_id)

    def _why(self, error: Exception) -> str:
        return _hidden(f"{type(error).__name__}: {error}".split("\n", 1)[0], self._storage)


def export(
    path: str, name: str, space: SearchSpace, goal: Goal, trials: Iterable[TrialRecord]
) -> None:
    """Write a study with these trials to a new journal file of Optuna.

    Raises:
        InvalidInput: Optuna is missing, or there is something at the path, or it cannot be written.
    """
    module = optuna("the export to Optuna")
    shown = Shown(space, module)
    if os.path.lexists(path):
        raise InvalidInput(f"{printable(path, 200)} is there already; give another name")
    try:
        study = module.create_study(
            storage=_opened(module, path), study_name=name, direction=goal.value
        )
    except OSError as error:
        raise InvalidInput(f"cannot write {printable(path, 200)}: {error.strerror}") from None
    study.add_trials([_frozen(module, shown, each) for each in trials])


class Shown:
    """Shown gives the parameters of a sweep as people see them in Optuna's tables and plots."""

    def __init__(self, space: SearchSpace, module: Any) -> None:
        self._space = space
        self._kinds = module.distributions

    def of(self, parameters: Parameters) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the values and distributions of parameters; those of nested spaces by a path."""
        found = list(self._all(self._space.dimensions, "", parameters))
        return (
            {name: inner for name, inner, _ in found},
            {name: distribution for name, _, distribution in found},
        )

    def _all(
        self, dimensions: tuple[Dimension, ...], above: str, parameters: Mapping[str, Any]
    ) -> Iterator[tuple[str, Any, Any]]:
        for each in dimensions:
            name, found = above + each.name, parameters[each.name]
            if not isinstance(each, Choice):
                yield name, found, self._distribution(each)
                continue
            nested = isinstance(found, dict) and BRANCH in found
            labels = tuple(dict.fromkeys(_label(value) for value in each.values))
            label = found[BRANCH] if nested else _label(found)
            yield name, label, self._kinds.CategoricalDistribution(labels)
            for branch in each.values:
                if nested and isinstance(branch, Branch) and branch.name == label:
                    yield from self._all(branch.dimensions, f"{name}/{branch.name}/", found)

    def _distribution(self, dimension: Dimension) -> Any:
        if isinstance(dimension, Whole):
            last = dimension.low + (dimension.size - 1) * dimension.step
            return self._kinds.IntDistribution(
                dimension.low, last, log=dimension.log, step=dimension.step
            )
        if isinstance(dimension, Normal):
            # A value is never more than nine deviations away, but a step may round it further.
            reach = 9.0 * dimension.deviation
            low, high = float(dimension.mean - reach), float(dimension.mean + reach)
            if dimension.log:
                low, high = math.exp(low), math.exp(high)
            more = dimension.step or 0.0
            return self._kinds.FloatDistribution(low - more, high + more)
        assert not isinstance(dimension, Choice), "choices have labels"
        return self._kinds.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _label(found: Any) -> Any:
    """Return what Optuna takes for a value of a choice: lists and objects as text."""
    if isinstance(found, Branch):
        return found.name
    return found if found is None or isinstance(found, (bool, int, float, str)) else text_of(found)


def _ending(module: Any, outcome: Outcome | None) -> tuple[Any, float | None]:
    states = module.trial.TrialState
    if outcome is None:
        return states.RUNNING, None
    if isinstance(outcome, Completed) and outcome.value is not None:
        return states.COMPLETE, outcome.value
    return (states.PRUNED if isinstance(outcome, Pruned) else states.FAIL), None


def _frozen(module: Any, shown: Shown, record: TrialRecord) -> Any:
    values, distributions = shown.of(record.parameters)
    state, value = _ending(module, record.outcome)
    if isinstance(record.outcome, Pruned):
        value = record.outcome.value if math.isfinite(record.outcome.value) else None
    return module.trial.create_trial(
        state=state,
        value=value,
        params=values,
        distributions=distributions,
        user_attrs={_NUMBER: record.number},
        intermediate_values={
            step: each for step, each in record.reported.items() if math.isfinite(each)
        },
    )


def _opened(module: Any, storage: str) -> Any:
    if "://" in storage:
        return storage
    backend = module.storages.journal.JournalFileBackend(os.path.expanduser(storage))
    return module.storages.JournalStorage(backend)


def _hidden(text: str, storage: str) -> str:
    try:
        password = urlsplit(storage).password
    except ValueError:
        password = storage
    return printable(text.replace(password, "***") if password else text, 300)


def _without_password(storage: str) -> str:
    return _hidden(storage, storage)


__all__ = ["Mirror", "TrialRecord", "export"]
