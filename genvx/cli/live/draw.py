"""The screen as lines: what is known of the hosts, as a person has arranged it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from genvx.cli.live import texts
from genvx.cli.live.devicepage import SIGNS
from genvx.cli.live.model import ABOVE, BELOW
from genvx.cli.live.pages import PAGES
from genvx.cli.live.paint import beside, clipped, in_style, padded, text_of
from genvx.core.snapshot import State
from genvx.shown.cells import width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.cli.live.known import Seen
    from genvx.cli.live.model import Model
    from genvx.cli.live.paint import Spans
    from genvx.cli.live.rows import Row

# Below so many columns, names of pages are brief; and the smallest screen that shows anything.
_ROOMY = 78
# Cells for the time, and before it.
_CLOCK = 10
LEAST = (20, ABOVE + BELOW + 1)


def screen(model: Model, hosts: Sequence[Seen], at: float) -> list[Spans]:
    """Return the lines of the screen, as many as it has. at: now, in seconds since the epoch."""
    columns, lines = model.columns, model.lines
    if columns < LEAST[0] or lines < LEAST[1]:
        text = "the terminal is too small"
        return [clipped(((text if at == 0 else "", ""),), columns) for at in range(lines)]
    above = [_summary(hosts, columns, at), _tabs(model, hosts)]
    if model.mode == "help":
        body = _page([("Keys", "bold"), *texts.HELP], model)
    elif model.mode == "details":
        body = _page(texts.details(model.row, PAGES[model.page].columns, hosts, at), model)
    elif model.mode == "log" and model.log is not None:
        body = _log(model)
    else:
        body = [_header(model), *_rows(model)]
    body += [()] * (lines - len(above) - BELOW - len(body))
    return [*above, *body, _footer(model)]


def _summary(hosts: Sequence[Seen], columns: int, at: float) -> Spans:
    """How many GPUs are free, the states of all, and the time."""
    snapshots = [seen.snapshot for seen in hosts if seen.snapshot is not None]
    states = Counter(each.state(device) for each in snapshots for device in each.devices)
    free = sum(len(each.available) for each in snapshots)
    down = sum(seen.error is not None for seen in hosts)
    left: list[tuple[str, str]] = [
        (f"{free} of {sum(states.values())} GPUs free", "bold"),
        (f"  ✕ {down} down" if down else "", "bad"),
        (f"  {len(snapshots)} of {len(hosts)} hosts" if len(hosts) > 1 else "", ""),
    ]
    there = [state for state in State if states[state]]
    signs = [(f"  {SIGNS[each][0]} {states[each]}", SIGNS[each][1]) for each in there]
    words = [
        (f"{sign} {state.value}", style) for state, (sign, style) in zip(there, signs, strict=True)
    ]
    room = columns - width(text_of(tuple(left))) - _CLOCK
    left += words if width(text_of(tuple(words))) <= room else signs
    clock = ((time.strftime("%H:%M:%S", time.localtime(at)), "dim"),)
    return beside(tuple(left), clock if columns >= _ROOMY else (), columns)


def _tabs(model: Model, hosts: Sequence[Seen]) -> Spans:
    """The names of the pages, and by what rows are filtered and sorted."""
    spans: list[tuple[str, str]] = []
    model.tabs = []
    end = 0
    for number, page in enumerate(PAGES):
        name = page.title if model.columns >= _ROOMY else page.brief
        text = f" {number + 1} {name} " if model.columns >= _ROOMY else f"{number + 1} {name}"
        style = "chosen" if number == model.page else ""
        spans += [(text, style), (" ", "")]
        model.tabs.append((end, end + width(text)))
        end += width(text) + 1
    right = []
    sorting = model.sortings[model.page]
    if model.filter or model.mode == "filter":
        right.append((f"/{model.filter}", "bold"))
    if sorting.column is not None:
        arrow = "▼" if sorting.reverse else "▲"
        right.append((f" {arrow} {PAGES[model.page].columns[sorting.column]}", ""))
    return beside(tuple(spans), tuple(right), model.columns)


def _header(model: Model) -> Spans:
    listed = model.listed
    names = [PAGES[model.page].columns[at] for at in listed.shown]
    cells = [padded(((name, ""),), size) for name, size in zip(names, listed.widths, strict=True)]
    text = "  ".join(text_of(cell) for cell in cells)
    return in_style(((text, ""),), "head", model.columns)


def _rows(model: Model) -> list[Spans]:
    listed = model.listed
    if not listed.rows:
        why = f"nothing matches {model.filter}" if model.filter else "nothing is here"
        return [((why, "dim"),)]
    found = []
    for at, row in enumerate(listed.rows[model.top : model.top + model.height], model.top):
        line = _row(row, model)
        found.append(in_style(line, "chosen", model.columns) if at == model.at else line)
    return found


def _row(row: Row, model: Model) -> Spans:
    line: list[tuple[str, str]] = []
    for place, (at, size) in enumerate(zip(model.listed.shown, model.listed.widths, strict=True)):
        cell = row.cells[at]
        if place == 0 and row.parent:
            (text, style), *_ = cell
            mark = "▸" if row.key in model.listed.folded else "▾"
            cell = ((mark + text[1:], style),)
        line += [("  ", "")] * (place > 0)
        line += padded(cell, size)
    return clipped(tuple(line), model.columns)


def _page(lines: Sequence[tuple[str, str]], model: Model) -> list[Spans]:
    """Lines of text that a person scrolls."""
    room = model.height + 1
    model.scroll = max(0, min(model.scroll, len(lines) - room))
    shown = lines[model.scroll : model.scroll + room]
    return [clipped((line,), model.columns) for line in shown]


def _log(model: Model) -> list[Spans]:
    log = model.log
    assert log is not None
    lines = log.lines()
    model.scroll = max(0, min(model.scroll, len(lines) - model.height))
    end = len(lines) - model.scroll
    more = f", {model.scroll} lines below" if model.scroll else ""
    head = f"run {log.target.label} on {', '.join(log.target.hosts)}: {log.state or 'asked'}{more}"
    shown = lines[max(0, end - model.height) : end]
    return [
        in_style(((head, ""),), "head", model.columns),
        *(clipped(((line, ""),), model.columns) for line in shown),
    ]


def _footer(model: Model) -> Spans:
    if model.mode == "ask" and model.question is not None:
        asked, answers = texts.question(model.question)
        line = beside(((asked, ""),), ((answers, ""),), model.columns)
        return in_style(line, "note", model.columns)
    if model.mode == "filter":
        text = f"filter: {model.filter}▏  Enter keeps it, Esc removes it"
        return in_style(((text, ""),), "note", model.columns)
    if model.message[0]:
        return clipped((model.message,), model.columns)
    hints = texts.HINTS if model.mode == "list" else texts.SCROLLED
    shown = hints[0] if width(hints[0]) <= model.columns else hints[1]
    return clipped(((shown, "dim"),), model.columns)
