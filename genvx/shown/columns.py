"""Text in columns that fit a terminal."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.ages import brief_age
from genvx.shown.cells import shortened, terminal_size, width

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

_GAP = 2
# Cells that each column keeps on a terminal that is too narrow for the table.
_LEAST = 3
# People type what is in these columns, so they are shortened only where nothing else is left.
_TYPED = ("ID", "RUN")


def table_for(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    header: bool = True,
    yielding: Optional[Mapping[str, int]] = None,
    wrapping: Sequence[str] = (),
) -> list[str]:
    """Return the lines of a table for a stream; none is wider than its terminal.

    rows: cells as `safe` returns them. yielding, wrapping: as for `lay_out`, by the names of
    columns; absent columns are ignored.
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
        # Two columns may have one name: the parts of a run on several hosts have one id.
        wrapping=[at for at, name in enumerate(columns) if name in wrapping],
        typed=[at for at, name in enumerate(columns) if name in _TYPED],
    )


def lay_out(
    header: Optional[Sequence[str]],
    rows: Sequence[Sequence[str]],
    *,
    most: Optional[int] = None,
    yielding: Optional[Mapping[int, int]] = None,
    wrapping: Sequence[int] = (),
    typed: Sequence[int] = (),
) -> list[str]:
    """Return the lines of a table.

    most: the cells of a line; None shortens nothing. Where the table is wider, ages are shown in
    their brief form. yielding: the columns to shorten first, least
    important first, with the cells that each keeps; if that is not enough, all are shortened,
    widest first. wrapping: columns that continue on the next line instead, so that nothing of them
    is lost. typed: columns that are shortened last.
    """
    table = [*([] if header is None else [header]), *rows]
    if not table:
        return []
    widths = _widths(table)
    if most is not None and _excess(widths, most) > 0:
        table = [[brief_age(cell) for cell in row] for row in table]
        widths = _widths(table)
        _narrow(widths, most, yielding or {}, typed)
    return [line for row in table for line in _lines(row, widths, wrapping)]


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*table)]


def _excess(widths: Sequence[int], most: int) -> int:
    return sum(widths) + _GAP * (len(widths) - 1) - most


def _narrow(
    widths: list[int], most: int, yielding: Mapping[int, int], typed: Sequence[int]
) -> None:
    """Make columns narrower until they and the gaps between them take at most `most` cells."""
    excess = _excess(widths, most)
    for at, least in yielding.items():
        less = max(0, min(excess, widths[at] - least))
        widths[at] -= less
        excess -= less
    for some in ([at for at in range(len(widths)) if at not in typed], range(len(widths))):
        # From the widest, so that columns with little text stay whole.
        while excess > 0 and some and widths[widest := max(some, key=widths.__getitem__)] > _LEAST:
            widths[widest] -= 1
            excess -= 1


def _lines(row: Sequence[str], widths: Sequence[int], wrapping: Sequence[int]) -> Iterator[str]:
    """The lines of a row: several if cells continue."""
    if wrapping:
        # Imported here: only tables with sentences need it, and those need not be fast.
        import textwrap

    columns = [
        textwrap.wrap(cell, most) if at in wrapping else [shortened(cell, most)]
        for at, (cell, most) in enumerate(zip(row, widths))
    ]
    for cells in zip_longest(*columns, fillvalue=""):
        padded = (cell + " " * (most - width(cell)) for cell, most in zip(cells, widths))
        yield (" " * _GAP).join(padded).rstrip()
