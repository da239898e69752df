"""Sweeps and their trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from genvx.cli.schema.requests import plain_requirements

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.sweeps.ledger import Ledger
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.trial import Trial


def plain_sweep(spec: SweepSpec, ledger: Ledger, state: str) -> Plain:
    """Return a sweep as documented, without its trials. state: running, ended, away or left."""
    best = ledger.best
    stages = [trial.stage.value for trial in ledger.trials.values()]
    return {
        "id": spec.id,
        "name": spec.name,
        "state": state,
        "reason": ledger.ended or None,
        "command": list(spec.command),
        "request": plain_requirements(spec.requirements),
        "goal": spec.goal.value,
        "tuner": spec.tuner,
        "most_trials": spec.trials,
        "began_epoch_seconds": round(spec.began_epoch_ns / 1e9, 3),
        "counts": {each: stages.count(each) for each in sorted(set(stages))},
        "best": None if best is None else best.number,
    }


def plain_trial(trial: Trial) -> Plain:
    """Return a trial as documented."""
    value = trial.value
    return {
        "number": trial.number,
        "state": trial.stage.value,
        "parameters": dict(trial.parameters),
        "value": value if value is None or math.isfinite(value) else None,
        "step": trial.step,
        "more": dict(trial.more),
        "run": trial.run or None,
        "host": trial.host or None,
        "attempts": trial.attempts,
        "seconds": trial.seconds,
        "exit_code": trial.exit_code,
        "reason": trial.why or trial.reason or None,
    }
