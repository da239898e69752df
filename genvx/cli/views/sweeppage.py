"""A page with plots of a sweep, which loads nothing from elsewhere and runs no scripts.

What trials and hosts have written goes onto the page as text only.
"""

from __future__ import annotations

import html
import math
import os
from typing import TYPE_CHECKING, Any

from genvx.cli.views.reports import parameters_line, shown_number
from genvx.cli.views.sweepplot import important, part_of, read_valued
from genvx.core.sweeps.goal import Goal
from genvx.core.text import printable
from genvx.errors import StateError
from genvx.shown.console import say
from genvx.sweeps.trial import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.sweeps.ledger import Ledger
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.trial import Trial

_WIDE, _EDGE = 860, 72
_MOST_AXES = 12
# The mean width of a character of the labels.
_CHARACTER = 6.2
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --back: #fff; --text: #1d2125; --soft: #5b6570; --line: #d5dade;
  --dot: #2464c8; --gone: #b4530a; --best: #0b7a3b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --back: #14171a; --text: #e4e7ea; --soft: #9aa5b0;
  --line: #363d44; --dot: #6ea6ff; --gone: #f09a52; --best: #4ccb84; }} }}
body {{ font: 14px/1.5 system-ui, sans-serif; margin: 2em auto; padding: 0 1em; max-width: 62em;
  background: var(--back); color: var(--text); overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5em; }} h2 {{ font-size: 1.1em; margin: 2em 0 0.5em; }}
p {{ margin: 0.3em 0; }} .soft {{ color: var(--soft); }}
svg {{ box-sizing: border-box; width: 100%; min-width: 620px; height: auto;
  border: 1px solid var(--line); border-radius: 4px; }}
svg text {{ font: 11px system-ui, sans-serif; fill: var(--soft); }}
svg .name {{ fill: var(--text); }} svg .axis {{ stroke: var(--line); }}
svg .dot {{ fill: var(--dot); }} svg .bar {{ fill: var(--dot); }}
svg .track {{ fill: var(--line); }}
svg .gone {{ stroke: var(--gone); stroke-width: 2; }}
svg .step {{ fill: none; stroke: var(--best); stroke-width: 1.5; }}
svg .trial {{ fill: none; stroke: var(--dot); }} svg .top {{ stroke: var(--best); }}
svg .trial:hover {{ stroke: var(--text); stroke-opacity: 1; stroke-width: 3; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }} td, th {{ padding: 2px 12px 2px 0; text-align: left;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; vertical-align: top; }}
th, td:not(:last-child) {{ white-space: nowrap; }} td:last-child {{ min-width: 20em; }}
</style></head><body>
<h1>{title}</h1><p>{best}</p><p class="soft">{counts}</p>
<h2>Values over trials</h2>{values}
<h2>Importance of parameters</h2>{importance}
<h2>Parameters and values</h2>{parallel}
<h2>Trials</h2><div class="wide"><table>
<tr><th>trial</th><th>state</th><th>value</th><th>parameters</th></tr>{rows}</table></div>
</body></html>
"""


def write_page(directory: SweepDirectory, path: str) -> None:
    """Write a page with plots of a sweep to a file.

    Raises:
        StateError: it cannot be written.
    """
    from genvx.cli.views.sweeps import counts_line

    spec, ledger, trials = read_valued(directory)
    best = ledger.best
    page = _PAGE.format(
        title=html.escape(f"Sweep {spec.id}" + (f" ({spec.name})" if spec.name else "")),
        best=""
        if best is None
        else html.escape(
            f"Best: trial {best.number}, value {shown_number(best.value)}, "
            f"{parameters_line(best.parameters)}"
        ),
        counts=html.escape(f"{counts_line(spec, ledger)}; the aim is to {spec.goal.value}"),
        values=_values(trials, ledger, spec.goal),
        importance=_importance(important(trials)),
        parallel=_parallel(trials, spec.goal),
        rows="".join(
            _row(each)
            for each in [*ledger.ranked(), *(t for t in trials if t.stage is Stage.PRUNED)]
        ),
    )
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        raise StateError(f"cannot write {printable(path, 300)}: {error.strerror}") from None
    say(f"genvx: wrote {os.path.abspath(path)}")


def _row(trial: Trial) -> str:
    cells = (
        str(trial.number),
        trial.stage.value,
        shown_number(trial.value),
        parameters_line(trial.parameters),
    )
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _svg(high: float, *parts: str) -> str:
    box = f"0 0 {_WIDE} {high:.0f}"
    return f'<div class="wide"><svg viewBox="{box}" role="img">{"".join(parts)}</svg></div>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">'
        f"{html.escape(text)}</text>"
    )


def _short(text: str, width: float) -> str:
    """A text that fits into a width, as well as one can know."""
    return printable(text, max(4, int(width / _CHARACTER)))


def _brief(number: float) -> str:
    """A number beside an axis."""
    return f"{number:.4g}"


def _values(trials: Sequence[Trial], ledger: Ledger, goal: Goal) -> str:
    """A dot for each trial, a cross for one that was pruned, and a line for the best so far."""
    high = 280
    values = [float(trial.value or 0.0) for trial in trials]
    if not values:
        return '<p class="soft">No trial has a value yet.</p>'
    least, most, last = min(values), max(values), max(1, max(ledger.trials))
    pick = max if goal is Goal.MAXIMIZE else min
    marks: list[str] = []
    steps: list[str] = []
    so_far: float | None = None
    for trial, value in zip(trials, values, strict=True):
        x = _EDGE + trial.number / last * (_WIDE - 2 * _EDGE)
        y = high - 40 - part_of(value, least, most) * (high - 70)
        tip = html.escape(
            f"trial {trial.number}: {shown_number(value)}, {parameters_line(trial.parameters)}"
        )
        if trial.stage is Stage.PRUNED:
            marks.append(
                f'<path class="gone" d="M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8">'
                f"<title>{tip} (pruned)</title></path>"
            )
            continue
        marks.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{tip}</title></circle>'
        )
        better = value if so_far is None else pick(so_far, value)
        if better != so_far:
            so_far = better
            steps.append(f"{'H' if steps else 'M'}{x:.1f}{'V' if steps else ','}{y:.1f}")
    line = f'<path class="step" d="{"".join(steps)}H{_WIDE - _EDGE}"/>' if steps else ""
    return _svg(
        high,
        f'<path class="axis" fill="none" d="M{_EDGE - 12},20V{high - 28}H{_WIDE - _EDGE + 12}"/>',
        _text(_EDGE - 18, 34, _brief(most), anchor="end"),
        _text(_EDGE - 18, high - 36, _brief(least), anchor="end"),
        _text(_EDGE, high - 10, "trial 0", anchor="middle"),
        _text(_WIDE - _EDGE, high - 10, str(max(ledger.trials)), anchor="middle"),
        _text(_WIDE / 2, high - 10, "● value   ✕ pruned   ─ best so far", anchor="middle"),
        line,
        *marks,
    )


def _importance(found: Mapping[str, float]) -> str:
    """A bar for each parameter."""
    if not found:
        return '<p class="soft">There are too few values to tell.</p>'
    each, left, room = 26, 220, _WIDE - 220 - 70
    parts = []
    for at, (name, part) in enumerate(list(found.items())[: 2 * _MOST_AXES]):
        y = 14 + at * each
        parts += [
            f"<g><title>{html.escape(printable(name, 200))}</title>",
            _text(left - 12, y + 12, _short(name, left - 30), anchor="end", kind="name"),
            f'<rect class="track" x="{left}" y="{y}" width="{room}" height="16" rx="2"/>',
            f'<rect class="bar" x="{left}" y="{y}" width="{part * room:.1f}" height="16" rx="2"/>',
            _text(left + room + 10, y + 12, f"{part:.2f}"),
            "</g>",
        ]
    note = (
        '<p class="soft">The part of the differences between the ranks of values that goes along '
        "with the parameter alone, without what chance would give.</p>"
    )
    return _svg(20 + each * min(len(found), 2 * _MOST_AXES), *parts) + note


def _parallel(trials: Sequence[Trial], goal: Goal) -> str:
    """A line for each trial through an axis for each parameter; the best tenth stands out."""
    high = 300
    names = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    if not names:
        return '<p class="soft">No trial has a value yet.</p>'
    note = ""
    if len(names) > _MOST_AXES:
        first = [name for name in important(trials) if name in names]
        names = list(dict.fromkeys([*first, *names]))[:_MOST_AXES]
        note = f'<p class="soft">The {_MOST_AXES} most important parameters.</p>'
    axes = [*names, "value"]
    columns = [[trial.parameters.get(name) for trial in trials] for name in names]
    columns.append([trial.value for trial in trials])
    scales = [_Scale(column) for column in columns]
    step = (_WIDE - 2 * _EDGE) / (len(axes) - 1)
    sign = 1 if goal is Goal.MAXIMIZE else -1
    # The best are drawn last, on top of the others.
    order = sorted(range(len(trials)), key=lambda at: sign * float(trials[at].value or 0.0))
    top = len(order) - max(1, len(order) // 10)
    lines = []
    for place, at in enumerate(order):
        points = " ".join(
            f"{_EDGE + axis * step:.1f},{high - 56 - scale.places[at] * (high - 100):.1f}"
            for axis, scale in enumerate(scales)
        )
        tip = html.escape(
            f"trial {trials[at].number}: {shown_number(trials[at].value)}, "
            f"{parameters_line(trials[at].parameters)}"
        )
        strong = 0.15 + 0.5 * place / max(1, len(order) - 1) if place < top else 1
        kind = "trial top" if place >= top else "trial"
        lines.append(
            f'<polyline class="{kind}" points="{points}" stroke-opacity="{strong:.2f}" '
            f'stroke-width="{2 if place >= top else 1}"><title>{tip}</title></polyline>'
        )
    labels = []
    for at, (name, scale) in enumerate(zip(axes, scales, strict=True)):
        x = _EDGE + at * step
        labels += [
            f'<path class="axis" d="M{x:.1f},44V{high - 56}"/>',
            f"<g><title>{html.escape(printable(name, 200))}</title>",
            _text(x, high - 14, _short(name, step - 8), anchor="middle", kind="name"),
            "</g>",
            _text(x, 32, _short(scale.top, step - 8), anchor="middle"),
            _text(x, high - 36, _short(scale.bottom, step - 8), anchor="middle"),
        ]
    return _svg(high, *labels, *lines) + note


class _Scale:
    """Where the values of an axis are on it, from 0 to 1: numbers by size, by their logarithm where
    they are of many sizes, and others in the order in which they came.

    top, bottom: what is at its ends.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        numbers = [float(each) for each in values if type(each) in (int, float)]
        if numbers and len(numbers) == len(values) and all(map(math.isfinite, numbers)):
            low, high = min(numbers), max(numbers)
            self.top, self.bottom = _brief(high), _brief(low)
            if low > 0 and high / low > 100:
                numbers, low, high = list(map(math.log, numbers)), math.log(low), math.log(high)
            self.places = [part_of(each, low, high) for each in numbers]
            return
        words = ["-" if each is None else shown_number(each) for each in values]
        order = list(dict.fromkeys(words))
        at = {word: place for place, word in enumerate(order)}
        self.places = [part_of(at[word], 0, len(order) - 1) for word in words]
        self.top, self.bottom = (order[-1], order[0]) if order else ("", "")
