"""Makes the pictures of the screen of genvx top for the docs: docs/pictures/top*.svg.

The screen is the real one; its hosts are those of the pictures of the page. Run it after the screen
has changed: .venv/bin/python scripts/screens.py
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pictures

from genvx.cli.live.draw import screen
from genvx.cli.live.keys import Key
from genvx.cli.live.known import Known
from genvx.cli.live.model import Model
from genvx.core.runs.run import Moment
from genvx.core.value import replace
from genvx.core.wire.runoperations import ListRuns
from genvx.errors import GenvxError
from genvx.shown.cells import width
from genvx.watching.clock import now
from genvx.watching.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.cli.live.paint import Spans
    from genvx.core.runs.runinfo import RunInfo
    from genvx.testing import FakeHost

# What the styles of a screen look like, and cells of a terminal in pixels.
_COLOURS = {"good": "#7ec77e", "held": "#6cc5d9", "warn": "#e0b050", "bad": "#ff7b72"}
_DARK, _LIGHT = "#14171c", "#d5dae1"
_WIDE, _HIGH, _EDGE = 8, 17, 10


def seen(hosts: Sequence[FakeHost]) -> Known:
    """What looks at hosts have shown."""
    known = Known([host.name for host in hosts])
    for host in hosts:
        try:
            sight = Sight(host.name, now(), 0.01, host.snapshot(sensors=True))
            known.show(sight, tuple(map(_older, host.answer(ListRuns()))))
        except GenvxError as error:
            known.show(Sight(host.name, now(), 0.01, error=error), None)
    return known


def _older(run: RunInfo) -> RunInfo:
    """A run that has run for as long whenever the picture is made."""
    moment = Moment(round((now() - 5410) * 1e9), 0)
    spec = replace(run.spec, submitted=moment)
    return replace(run, spec=spec, state=replace(run.state, since=moment))


def drawn(columns: int, lines: int, *keys: str) -> list[Spans]:
    """The screen of genvx top after some keys."""
    pictures._ids = itertools.count(1)  # the same ids each time
    known, model = seen(pictures.fleet()).hosts(), Model()
    model.look(known, columns, lines)
    for key in keys:
        model.take(Key(key))
    return screen(model, known, 51_912.0)


def svg(shown: Sequence[Spans], columns: int) -> str:
    """A screen as a picture."""
    wide, high = columns * _WIDE + 2 * _EDGE, len(shown) * _HIGH + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" '
        f'height="{high}" font-family="ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace" '
        f'font-size="13">',
        f'<rect width="{wide}" height="{high}" rx="6" fill="{_DARK}"/>',
    ]
    for row, line in enumerate(shown):
        parts += _line(line, _EDGE + row * _HIGH)
    return "\n".join([*parts, "</svg>", ""])


def _line(line: Spans, top: int) -> Iterator[str]:
    at = 0
    for text, style in line:
        size = width(text)
        left, wide = _EDGE + at * _WIDE, size * _WIDE
        at += size
        ink = _COLOURS.get(style, "#8a929e" if style == "dim" else _LIGHT)
        if style in ("chosen", "note"):
            paper = _LIGHT if style == "chosen" else _COLOURS["warn"]
            yield f'<rect x="{left}" y="{top}" width="{wide}" height="{_HIGH}" fill="{paper}"/>'
            ink = _DARK
        if style == "head":
            yield f'<path d="M{left} {top + _HIGH - 1}h{wide}" stroke="{_LIGHT}" opacity=".5"/>'
        if text.strip():
            yield (
                f'<text x="{left}" y="{top + 13}" fill="{ink}" textLength="{wide}" '
                f'xml:space="preserve"{BOLD if style in ("bold", "host", "bad") else ""}>'
                f"{escape(text)}</text>"
            )


SCREENS = {
    "top.svg": (80, 24, "e", "down", "down", "down", "down", "down"),
    "top-wide.svg": (200, 50, "down"),
    "top-runs.svg": (80, 10, "4", "x"),
}
BOLD = ' font-weight="bold"'


def screens() -> dict[str, str]:
    """Each picture of the screen, by its name."""
    return {
        name: svg(drawn(columns, lines, *keys), columns)
        for name, (columns, lines, *keys) in SCREENS.items()
    }


def main() -> None:
    for name, text in screens().items():
        (pictures.PICTURES / name).write_text(text)


if __name__ == "__main__":
    main()
