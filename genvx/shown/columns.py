"""Text in columns that a terminal has room for. Widths are in cells of a terminal, where a Chinese
character takes two and a combining accent none.
"""

from __future__ import annotations

import os
import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

ELLIPSIS = "…"
_GAP = 2
# What is left of any column, on a terminal that is too narrow for the table.
_LEAST = 3
# Characters of a cell that are shown at all.
_MOST = 300


def terminal_size(stream: TextIO) -> Optional[os.terminal_size]:
    """Columns and lines of the terminal that a stream goes to; None if it goes elsewhere, or the
    terminal does not say.
    """
    if not stream.isatty():
        return None
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return None
    return size if size.columns and size.lines else None


def width(text: str) -> int:
    """Cells of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, most: int) -> str:
    """The text in at most so many cells, with an ellipsis where its end is missing."""
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
    """A cell on one line, in the characters that a stream can show."""
    text = printable(cell, _MOST)
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def table_for(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    header: bool = True,
    yielding: Optional[Mapping[str, int]] = None,
    wrapping: Sequence[str] = (),
) -> list[str]:
    """The lines of a table for a stream; on a terminal none is longer than that is wide.

    rows: as `safe` makes them. yielding, wrapping: as `lay_out` has them, by the columns' names;
    columns that are not there are passed over.
    """
    size = terminal_size(stream)
    return lay_out(
        columns if header else None,
        rows,
        most=None if size is None else size.columns,
        yielding={
            columns.index(name): least
            for name, least in (yielding or {}).items()
            if name in columns
        },
        wrapping=[columns.index(name) for name in wrapping if name in columns],
    )


def lay_out(
    header: Optional[Sequence[str]],
    rows: Sequence[Sequence[str]],
    *,
    most: Optional[int] = None,
    yielding: Optional[Mapping[int, int]] = None,
    wrapping: Sequence[int] = (),
) -> list[str]:
    """The lines of a table.

    most: cells that a line may take; None shortens nothing. yielding: the columns that are
    shortened for that, least important first, and the cells that each keeps; when that is not
    enough, all are shortened, widest first. wrapping: columns that go on in the next line instead,
    so that nothing of them is lost.
    """
    table = [*([] if header is None else [header]), *rows]
    if not table:
        return []
    widths = [max(map(width, column)) for column in zip(*table)]
    if most is not None:
        _narrow(widths, most, yielding or {})
    return [line for row in table for line in _lines(row, widths, wrapping)]


def _narrow(widths: list[int], most: int, yielding: Mapping[int, int]) -> None:
    """Make columns narrower until they and the gaps between them take at most `most` cells."""
    excess = sum(widths) + _GAP * (len(widths) - 1) - most
    for at, least in yielding.items():
        less = max(0, min(excess, widths[at] - least))
        widths[at] -= less
        excess -= less
    while excess > 0 and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
        excess -= 1


def _lines(row: Sequence[str], widths: Sequence[int], wrapping: Sequence[int]) -> Iterator[str]:
    """A row of a table; several lines where cells go on."""
    if wrapping:
        # Only some tables have long sentences, and those are not the ones that must be fast.
        import textwrap

    columns = [
        textwrap.wrap(cell, most) if at in wrapping else [shortened(cell, most)]
        for at, (cell, most) in enumerate(zip(row, widths))
    ]
    for cells in zip_longest(*columns, fillvalue=""):
        padded = (cell + " " * (most - width(cell)) for cell, most in zip(cells, widths))
        yield (" " * _GAP).join(padded).rstrip()
