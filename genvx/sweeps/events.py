"""What is written into the journal of a sweep; `ledger.py` reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.sweeps.ledger import plain_number

if TYPE_CHECKING:
    from genvx.core.sweeps.report import Report
    from genvx.sweeps.endings import Ending
    from genvx.sweeps.trial import Trial


def asked(trial: Trial, host: str) -> dict[str, Any]:
    """Return that a trial is asked for on a host, as a new run."""
    return {
        "is": "asked",
        "trial": trial.number,
        "attempt": trial.attempts + 1,
        "run": os.urandom(4).hex(),
        "host": host,
        "parameters": trial.parameters,
    }


def reported(trial: Trial, report: Report, after: int) -> dict[str, Any]:
    """Return what a trial has reported. after: the offset behind that."""
    return {
        "is": "reported",
        "trial": trial.number,
        "at": after,
        "value": plain_number(report.value),
        "step": report.step,
        "final": report.final,
        "more": report.more,
    }


def ended(trial: Trial, ending: Ending) -> dict[str, Any]:
    """Return how a trial has ended."""
    return {
        "is": "ended",
        "trial": trial.number,
        "how": ending.stage.value,
        "value": plain_number(ending.value),
        "why": ending.why,
        "seconds": ending.seconds,
        "exit_code": ending.exit_code,
    }
