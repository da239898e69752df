"""All trials of a sweep, as its journal tells them: the same events give the same ledger."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from genvx.core.text import MESSAGE_LIMIT, NAME_LIMIT, is_identifier, printable
from genvx.sweeps.trial import ENDS, Stage, Trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.sweeps.goal import Goal

_NO_NUMBERS = ("nan", "inf", "-inf")
_ENDS = {stage.value: stage for stage in ENDS}


class Ledger:
    """Ledger has the trials of a sweep, by number, and how the sweep itself is.

    unfinished: those that are not over. ended: why the sweep is over, in a word; empty while it is
    not.
    """

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.trials: dict[int, Trial] = {}
        # All that is decided concerns these; they stay few, however many trials there were.
        self.unfinished: dict[int, Trial] = {}
        self.ended = ""

    @classmethod
    def of(cls, goal: Goal, events: Iterable[Mapping[str, Any]]) -> Ledger:
        """Make the ledger that these events lead to."""
        ledger = cls(goal)
        for event in events:
            ledger.apply(event)
        return ledger

    def apply(self, event: Mapping[str, Any]) -> Trial | None:
        """Take one event; return the trial that it is about. What makes no sense is left out."""
        kind, number = event.get("is"), event.get("trial")
        if kind in ("sweep ended", "sweep resumed"):
            self.ended = _text(event.get("why")) if kind == "sweep ended" else ""
            return None
        if type(number) is not int or number < 0:
            return None
        if kind == "asked":
            return self._asked(number, event)
        trial = self.trials.get(number)
        if trial is None or trial.is_over:
            return None
        if kind == "accepted":
            trial.stage = Stage.RUNNING if event.get("running") is True else Stage.WAITING
        elif kind == "reported":
            trial.value, trial.step = number_of(event.get("value")), _whole(event.get("step"))
            trial.final = event.get("final") is True
            trial.reports += 1
            trial.more = _mapping(event.get("more"))
            trial.offset = _whole(event.get("at")) or 0
        elif kind == "pruned":
            trial.pruned_at = _whole(event.get("step")) or 0
        elif kind == "withdrawn":
            trial.withdrawn = True
        elif kind == "returned":
            # Its run is gone without a result, or was withdrawn from the line of its host.
            trial.stage, trial.run, trial.host = Stage.QUEUED, "", ""
            trial.value, trial.step, trial.offset, trial.final = None, None, 0, False
            trial.why = _text(event.get("why"))
            trial.losses += event.get("lost") is True
            trial.stopping, trial.pruned_at, trial.more, trial.doubts = False, None, {}, 0
        elif kind == "ended":
            del self.unfinished[number]
            trial.stage = _ENDS.get(str(event.get("how")), Stage.FAILED)
            trial.value = number_of(event.get("value"))
            trial.seconds = number_of(event.get("seconds"))
            trial.exit_code = _whole(event.get("exit_code"))
            trial.why = _text(event.get("why"))
        return trial

    def _asked(self, number: int, event: Mapping[str, Any]) -> Trial | None:
        run = event.get("run")
        if not isinstance(run, str) or not is_identifier(run):
            return None
        trial = self.trials.get(number)
        if trial is None:
            trial = self.trials[number] = Trial(number, _mapping(event.get("parameters")))
            self.unfinished[number] = trial
        if trial.is_over:
            return None
        trial.stage, trial.run = Stage.ASKED, run
        trial.host = _text(event.get("host"), NAME_LIMIT * 4)
        trial.attempts = _whole(event.get("attempt")) or 1
        trial.withdrawn = False
        return trial

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value; None while there is none."""
        ranked = self.ranked()
        return ranked[0] if ranked else None

    def ranked(self) -> list[Trial]:
        """The completed trials that have a value, the best first; equal ones in their order."""
        valued = [t for t in self.trials.values() if t.stage is Stage.COMPLETED]
        found = [(t.value, t) for t in valued if t.value is not None]
        sign = -1.0 if self.goal.value == "maximize" else 1.0
        return [t for _, t in sorted(found, key=lambda each: (sign * each[0], each[1].number))]

    def count(self, *stages: Stage) -> int:
        """How many trials are at one of these stages."""
        return sum(trial.stage in stages for trial in self.trials.values())


def _text(given: object, most: int = MESSAGE_LIMIT) -> str:
    return printable(given, most) if isinstance(given, str) else ""


def number_of(given: object) -> float | None:
    """Read a number as `plain_number` writes it; None if it is none."""
    if given in _NO_NUMBERS:
        return float(str(given))
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    try:
        return float(given)
    except OverflowError:  # a whole number that no double can hold
        return None


def plain_number(number: float | None) -> float | str | None:
    """Return a number as JSON, which has no word for those that are not finite."""
    return number if number is None or math.isfinite(number) else str(number)


def _whole(given: object) -> int | None:
    return given if type(given) is int else None


def _mapping(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, dict) else {}
