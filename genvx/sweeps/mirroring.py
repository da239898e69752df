"""Copies of a sweep for Optuna: in a storage while it runs, and in a file afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.sweeps.endings import outcome_of
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.tuners.mirror import TrialRecord, export

if TYPE_CHECKING:
    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.tuners.mirror import Mirror
    from genvx.sweeps.tuners.tuner import Tuner


class Mirrored:
    """Mirrored is a tuner whose calls are also shown to a mirror."""

    def __init__(self, tuner: Tuner, mirror: Mirror) -> None:
        self._tuner = tuner
        self._mirror = mirror

    def ask(self, number: int) -> Parameters | None:
        """Ask the tuner."""
        parameters = self._tuner.ask(number)
        if parameters is not None:
            self._mirror.asked(number, parameters)
        return parameters

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Tell both."""
        self._tuner.adopt(number, parameters)
        self._mirror.asked(number, parameters)

    def reported(self, number: int, step: int, value: float) -> bool:
        """Tell both; return what the tuner says."""
        self._mirror.reported(number, step, value)
        return self._tuner.reported(number, step, value)

    def tell(self, number: int, outcome: Outcome) -> None:
        """Tell both."""
        self._mirror.told(number, outcome)
        self._tuner.tell(number, outcome)


def export_study(directory: SweepDirectory, path: str) -> None:
    """Write a sweep as a study of Optuna to a new journal file.

    Raises:
        InvalidInput: Optuna is missing, there is such a file, or it cannot be written.
    """
    spec = directory.spec()
    ledger = Ledger(spec.goal)
    reported: dict[int, dict[int, float]] = {}
    for event in directory.events():
        trial = ledger.apply(event)
        if trial is None or event["is"] != "reported" or trial.final:
            continue
        if trial.step is not None and trial.value is not None:
            reported.setdefault(trial.number, {})[trial.step] = trial.value
    records = [
        TrialRecord(
            number,
            trial.parameters,
            outcome_of(trial) if trial.is_over else None,
            reported.get(number, {}),
        )
        for number, trial in sorted(ledger.trials.items())
    ]
    export(path, spec.name or spec.id, spec.space, spec.goal, records)
