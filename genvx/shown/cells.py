"""How many cells of a terminal text takes: a Chinese character two, a combining accent none."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable

if TYPE_CHECKING:
    from typing import TextIO

ELLIPSIS = "…"
# The most characters of a cell. Names come from other users, and one must not fill the screen.
_MOST = 300


def terminal_size(stream: TextIO) -> Optional[os.terminal_size]:
    """Return the columns and lines of the terminal of a stream.

    None if the stream is no terminal, or the terminal does not say.
    """
    if not stream.isatty():
        return None
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return None
    return size if size.columns and size.lines else None


def width(text: str) -> int:
    """Return the cells that a text takes."""
    # Most cells are, and this is much faster than to look at each character.
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, most: int) -> str:
    """Return the text in at most `most` cells, with an ellipsis if its end is missing."""
    if width(text) <= most:
        return text
    left = most - width(ELLIPSIS)
    kept = ""
    for character in text:
        left -= _cells(character)
        if left < 0:
            break
        kept += character
    return f"{kept.rstrip()}{ELLIPSIS}" if most > 0 else ""


def safe(cell: str, stream: TextIO) -> str:
    """Return a cell on one line, in characters that a stream can show."""
    text = printable(cell, _MOST)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
