"""Styled text in lines, and how a terminal gets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.shown.cells import shortened, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    # A text and the name of its style. A line is several; none contains a control character.
    Span = tuple[str, str]
    Spans = tuple[Span, ...]

# What each style is: with colours, and without. Nothing is said by a colour alone.
_STYLES = {
    "": ("", ""),
    "bold": ("1", "1"),
    "dim": ("2", "2"),
    "head": ("4", "4"),
    "chosen": ("7", "7"),
    "good": ("32", ""),
    "held": ("36", ""),
    "warn": ("33", ""),
    "bad": ("1;31", "1"),
    "host": ("1", "1"),
    "note": ("7;33", "7"),
}
STYLES = tuple(_STYLES)
_FULL, _EMPTY = "█", "░"


def text_of(spans: Spans) -> str:
    """Return the text of spans."""
    return "".join(text for text, _ in spans)


def clipped(spans: Spans, most: int) -> Spans:
    """Return spans in at most `most` cells, with an ellipsis if their end is missing."""
    left, found = most, []
    if width(text_of(spans)) <= most:
        return spans
    for text, style in spans:
        size = width(text)
        if size >= left:
            # Also where it fits exactly, for something follows that does not.
            part = shortened(text, left) if size > left else shortened(text + "  ", left)
            found.append((part, style))
            break
        found.append((text, style))
        left -= size
    return tuple(found)


def padded(spans: Spans, size: int) -> Spans:
    """Return spans in exactly `size` cells."""
    spans = clipped(spans, size)
    missing = size - width(text_of(spans))
    return (*spans, (" " * missing, "")) if missing > 0 else spans


def in_style(spans: Spans, style: str, size: int) -> Spans:
    """Return spans as one of `size` cells in one style."""
    return ((text_of(padded(spans, size)), style),)


def beside(left: Spans, right: Spans, size: int) -> Spans:
    """Return two groups of spans at the two ends of a line; the left one gives way."""
    room = size - width(text_of(right)) - 1
    if room < 8 or not right:
        return clipped(left, size)
    return (*padded(left, room), (" ", ""), *right)


def bar(share: float, size: int) -> str:
    """Return a bar of `size` cells; anything at all is at least one."""
    full = round(max(0.0, min(1.0, share)) * size)
    if share > 0:
        full = max(1, full)
    return _FULL * full + _EMPTY * (size - full)


def sequences(spans: Spans, columns: int, *, colours: bool) -> str:
    """Return a line as a terminal gets it."""
    spans = clipped(spans, columns)
    parts = []
    for text, style in spans:
        number = _STYLES[style][not colours]
        parts.append(f"\x1b[{number}m{text}\x1b[0m" if number else text)
    # In the last column the cursor stays on what was written, and that would be erased.
    end = "\x1b[K" if width(text_of(spans)) < columns else ""
    return "".join(parts) + end


class Frame:
    """What a terminal shows; only lines that have changed are written again."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._shown: list[str] = []
        self._columns = 0

    def forget(self) -> None:
        """Write all lines the next time."""
        self._shown = []

    def update(self, lines: Sequence[Spans], columns: int) -> str:
        """Return what a terminal gets so that it shows these lines; empty if it does."""
        if (len(lines), columns) != (len(self._shown), self._columns):
            self._shown, self._columns = [""] * len(lines), columns
        parts = []
        for at, line in enumerate(lines):
            drawn = sequences(line, columns, colours=self._colours)
            if drawn != self._shown[at]:
                parts.append(f"\x1b[{at + 1};1H{drawn}")
                self._shown[at] = drawn
        # Terminals that know it show all of it at once; others ignore it.
        return f"\x1b[?2026h{''.join(parts)}\x1b[?2026l" if parts else ""
