"""Plots of a sweep with characters, and what all its plots are made from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from genvx.cli.views.reports import shown_number
from genvx.core.sweeps.importance import LEAST, importances
from genvx.core.text import printable
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.trial import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.trial import Trial

_WIDE, _HIGH, _NARROWEST = 64, 14, 16
# Beside the plot: labels, and the axis.
_BESIDE = 14
_BARS = 20


def read_valued(directory: SweepDirectory) -> tuple[SweepSpec, Ledger, list[Trial]]:
    """Read a sweep; return also its trials with a value, in their order."""
    spec = directory.spec()
    ledger = Ledger.of(spec.goal, directory.events())
    valued = [
        trial
        for _, trial in sorted(ledger.trials.items())
        if trial.stage in (Stage.COMPLETED, Stage.PRUNED)
        if trial.value is not None and math.isfinite(trial.value)
    ]
    return spec, ledger, valued


def important(trials: Sequence[Trial]) -> dict[str, float]:
    """How important each parameter is, from 0 to 1; trials that were pruned do not count, because
    they might have become better.
    """
    return importances(
        [
            (trial.parameters, float(trial.value))
            for trial in trials
            if trial.stage is Stage.COMPLETED and trial.value is not None
        ]
    )


def part_of(value: float, low: float, high: float) -> float:
    """Where a value is between two others, from 0 to 1."""
    if not high > low:
        return 0.5
    # Of halves, because the difference of two large numbers may be more than a double can hold.
    return (value / 2 - low / 2) / (high / 2 - low / 2)


def drawn(directory: SweepDirectory, columns: int = _WIDE + _BESIDE) -> str:
    """Return the values over the trials as characters, o for a trial and x for one that was pruned,
    and a bar for the importance of each parameter. columns: as many as there are.
    """
    _, ledger, trials = read_valued(directory)
    if not trials:
        return "\nno trial has a value yet\n"
    wide = max(_NARROWEST, min(_WIDE, columns - _BESIDE))
    values = [float(trial.value or 0.0) for trial in trials]
    low, high = min(values), max(values)
    last = max(1, max(ledger.trials))
    grid = [[" "] * wide for _ in range(_HIGH)]
    for trial, value in zip(trials, values, strict=True):
        across = round(trial.number / last * (wide - 1))
        up = round(part_of(value, low, high) * (_HIGH - 1))
        grid[_HIGH - 1 - up][across] = "x" if trial.stage is Stage.PRUNED else "o"
    labels = {0: shown_number(high), _HIGH - 1: shown_number(low)}
    lines = [f"{labels.get(at, ''):>12} |{''.join(row).rstrip()}" for at, row in enumerate(grid)]
    lines += [f"{'':>12} +{'-' * wide}", f"{'trial':>12}  0{last:>{wide - 1}}", ""]
    found = important(trials)
    if not found:
        lines.append(f"importance of parameters: needs {LEAST} completed trials with a value")
    for name, part in list(found.items())[:_BARS]:
        bar = "#" * round(part * (wide - 6))
        lines.append(f"{printable(name, 12):>12} |{bar} {part:.2f}")
    return "\n" + "\n".join(lines) + "\n"
