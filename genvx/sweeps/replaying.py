"""Telling a new tuner what an earlier one was told, from the journal of its sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.sweeps.endings import outcome_of
from genvx.sweeps.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.sweeps.goal import Goal
    from genvx.sweeps.tuners.tuner import Tuner


def replay(events: Iterable[Mapping[str, Any]], goal: Goal, tuner: Tuner) -> None:
    """Tell a tuner all events, in their order.

    Raises:
        InvalidInput: they are not of its space.
    """
    ledger = Ledger(goal)
    for event in events:
        known = event.get("trial") in ledger.trials
        trial = ledger.apply(event)
        if trial is None:
            continue
        if event["is"] == "asked" and not known:
            tuner.adopt(trial.number, trial.parameters)
        elif event["is"] == "reported" and trial.value is not None:
            if trial.step is not None and not trial.final and trial.pruned_at is None:
                tuner.reported(trial.number, trial.step, trial.value)
        elif event["is"] == "ended":
            tuner.tell(trial.number, outcome_of(trial))
