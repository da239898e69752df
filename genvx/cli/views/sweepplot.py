"""Plots of a sweep: with characters on a terminal, or as a page that loads nothing from elsewhere.

What trials and hosts have written goes onto the page as text only.
"""

from __future__ import annotations

import html
import math
import os
from typing import TYPE_CHECKING, Any

from genvx.cli.views.reports import parameters_line, shown_number
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.shown.console import say
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.trial import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.trial import Trial

_WIDE, _HIGH = 64, 14
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 2em; max-width: 60em; }}
svg {{ border: 1px solid #ccc; margin: 1em 0; }}
svg text {{ font: 11px sans-serif; fill: #444; }}
table {{ border-collapse: collapse; }} td, th {{ padding: 2px 10px; text-align: left; }}
</style></head><body>
<h1>{title}</h1><p>{best}</p>
<h2>Values over trials</h2>{values}
<h2>Parameters</h2>{parallel}
<table><tr><th>trial</th><th>state</th><th>value</th><th>parameters</th></tr>{rows}</table>
</body></html>
"""


def _read(directory: SweepDirectory) -> tuple[SweepSpec, Ledger, list[Trial]]:
    spec = directory.spec()
    ledger = Ledger.of(spec.goal, directory.events())
    valued = [
        trial
        for _, trial in sorted(ledger.trials.items())
        if trial.stage in (Stage.COMPLETED, Stage.PRUNED)
        if trial.value is not None and math.isfinite(trial.value)
    ]
    return spec, ledger, valued


def drawn(directory: SweepDirectory) -> str:
    """Return the values over the trials as characters: o for a trial, x for one that was pruned."""
    _, ledger, trials = _read(directory)
    if not trials:
        return "\nno trial has a value yet\n"
    values = [float(trial.value or 0.0) for trial in trials]
    low, high = min(values), max(values)
    last = max(1, max(ledger.trials))
    grid = [[" "] * _WIDE for _ in range(_HIGH)]
    for trial, value in zip(trials, values, strict=True):
        across = round(trial.number / last * (_WIDE - 1))
        up = round(_part(value, low, high) * (_HIGH - 1))
        grid[_HIGH - 1 - up][across] = "x" if trial.stage is Stage.PRUNED else "o"
    labels = {0: shown_number(high), _HIGH - 1: shown_number(low)}
    lines = [f"{labels.get(at, ''):>12} |{''.join(row).rstrip()}" for at, row in enumerate(grid)]
    axis = f"{'':>12} +{'-' * _WIDE}\n{'trial':>12}  0{last:>{_WIDE - 1}}"
    return "\n" + "\n".join(lines) + f"\n{axis}\n"


def write_page(directory: SweepDirectory, path: str) -> None:
    """Write a page with plots of a sweep to a file.

    Raises:
        StateError: it cannot be written.
    """
    spec, ledger, trials = _read(directory)
    best = ledger.best
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{html.escape(cell)}</td>"
            for cell in (
                str(trial.number),
                trial.stage.value,
                shown_number(trial.value),
                parameters_line(trial.parameters),
            )
        )
        + "</tr>"
        for trial in [*ledger.ranked(), *(t for t in trials if t.stage is Stage.PRUNED)]
    )
    page = _PAGE.format(
        title=html.escape(f"Sweep {spec.id}" + (f" ({spec.name})" if spec.name else "")),
        best=""
        if best is None
        else html.escape(
            f"Best: trial {best.number}, value {shown_number(best.value)}, "
            f"{parameters_line(best.parameters)}"
        ),
        values=_values(trials, max(ledger.trials, default=0)),
        parallel=_parallel(trials),
        rows=rows,
    )
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise StateError(f"cannot write {printable(path, 300)}: {error.strerror}") from None
    say(f"genvx: wrote {os.path.abspath(path)}")


def _part(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _values(trials: Sequence[Trial], last: int) -> str:
    wide, high, edge = 860, 260, 60
    values = [float(trial.value or 0.0) for trial in trials]
    if not values:
        return "<p>No trial has a value yet.</p>"
    least, most = min(values), max(values)
    dots = []
    for trial, value in zip(trials, values, strict=True):
        x = edge + trial.number / max(1, last) * (wide - 2 * edge)
        y = high - 30 - _part(value, least, most) * (high - 60)
        color = "#b33" if trial.stage is Stage.PRUNED else "#27c"
        tip = html.escape(f"trial {trial.number}: {shown_number(value)}")
        dots.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"><title>{tip}</title></circle>'
        )
    marks = (
        f'<text x="4" y="34">{html.escape(shown_number(most))}</text>'
        f'<text x="4" y="{high - 26}">{html.escape(shown_number(least))}</text>'
        f'<text x="{edge}" y="{high - 6}">trial 0</text>'
        f'<text x="{wide - edge - 10}" y="{high - 6}">{last}</text>'
    )
    return f'<svg width="{wide}" height="{high}">{marks}{"".join(dots)}</svg>'


def _parallel(trials: Sequence[Trial]) -> str:
    """A line for each trial through an axis for each parameter, the best ones darkest."""
    wide, high, edge = 860, 260, 60
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))[:12]
    if not names:
        return ""
    axes = [*names, "value"]
    found = [[*(trial.parameters.get(name) for name in names), trial.value] for trial in trials]
    places = [_places([row[at] for row in found]) for at in range(len(axes))]
    step = (wide - 2 * edge) / max(1, len(axes) - 1)
    lines = []
    for at, trial in enumerate(trials):
        points = " ".join(
            f"{edge + axis * step:.1f},{high - 40 - places[axis][at] * (high - 70):.1f}"
            for axis in range(len(axes))
        )
        tip = html.escape(f"trial {trial.number}")
        lines.append(
            f'<polyline points="{points}" fill="none" stroke="#27c" '
            f'stroke-opacity="{0.15 + 0.7 * places[-1][at]:.2f}"><title>{tip}</title></polyline>'
        )
    labels = "".join(
        f'<line x1="{edge + at * step:.1f}" x2="{edge + at * step:.1f}" y1="30" y2="{high - 40}" '
        f'stroke="#aaa"/><text x="{edge + at * step - 20:.1f}" y="{high - 20}">'
        f"{html.escape(printable(name, 24))}</text>"
        for at, name in enumerate(axes)
    )
    return f'<svg width="{wide}" height="{high}">{labels}{"".join(lines)}</svg>'


def _places(values: Sequence[Any]) -> list[float]:
    """Where values are on an axis, from 0 to 1: numbers by size, others in their order."""
    numbers = [each for each in values if type(each) in (int, float)]
    if len(numbers) == len(values):
        low, high = min(numbers, default=0), max(numbers, default=0)
        if low > 0 and high / low > 100:
            return [_part(math.log(each), math.log(low), math.log(high)) for each in numbers]
        return [_part(each, low, high) for each in numbers]
    words = [str(each) for each in values]
    order = list(dict.fromkeys(words))
    return [_part(order.index(each), 0, len(order) - 1) for each in words]
