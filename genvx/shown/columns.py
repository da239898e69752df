"""Text in columns that fit a terminal."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.ages import brief_age
from genvx.core.value import field, value
from genvx.shown.cells import shortened, terminal_size, width

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TextIO

GAP = 2
# Cells that each column keeps on a terminal that is too narrow for the table.
_LEAST = 3


@value
class Fitting:
    """How the columns of a table give way on a terminal that is too narrow, by their names; those
    that a table does not have are ignored.

    yielding: those that are shortened, least important first, with the cells that each keeps.
    dropped: those that are left out if that is not enough, least important first. kept: those that
    say what a row is about: they are never shortened or left out, however narrow it is; all others
    are shortened at last, widest first. wrapping: those that go on in the next line instead.
    coloured: those whose words say how something is.
    """

    yielding: Mapping[str, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    wrapping: tuple[str, ...] = ()
    coloured: tuple[str, ...] = ()


@value
class Table:
    """A table as it is printed. left_out: the columns for which there is no room."""

    lines: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def table_for(
    stream: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    fitting: Optional[Fitting] = None,
    *,
    header: bool = True,
) -> Table:
    """Return a table for a stream; no line is wider than its terminal, unless what says what a row
    is about is wider. Elsewhere nothing is shortened or left out.

    rows: cells as `safe` returns them.
    """
    fitting = fitting or Fitting()
    size = terminal_size(stream)
    if size is not None:
        shown = fitted_columns(columns, rows, fitting, size.columns)
        left_out = tuple(name for at, name in enumerate(columns) if at not in shown)
        columns = [columns[at] for at in shown]
        rows = [[row[at] for at in shown] for row in rows]
    else:
        left_out = ()
    lines = lay_out(
        columns if header else None,
        rows,
        most=None if size is None else size.columns,
        yielding={
            columns.index(name): least
            for name, least in fitting.yielding.items()
            if name in columns
        },
        kept=_places(columns, fitting.kept),
        # Two columns may have one name: the parts of a run on several hosts have one id.
        wrapping=_places(columns, fitting.wrapping),
        coloured=_coloured(stream, columns, fitting),
    )
    return Table(tuple(lines), left_out)


def _coloured(stream: TextIO, columns: Sequence[str], fitting: Fitting) -> list[int]:
    if not fitting.coloured or not stream.isatty():
        return []
    # Imported here: a pipe has no colours.
    from genvx.shown.colours import takes_colours

    return _places(columns, fitting.coloured) if takes_colours(stream) else []


def _places(columns: Sequence[str], names: Sequence[str]) -> list[int]:
    return [at for at, name in enumerate(columns) if name in names]


def fitted_columns(
    columns: Sequence[str], rows: Sequence[Sequence[str]], fitting: Fitting, most: int
) -> list[int]:
    """Return which columns of a table are shown in `most` cells, by their places.

    Where not all fit, also shortened, those without any text are left out first.
    """
    shown = list(range(len(columns)))
    if not fitting.dropped or not rows:
        return shown
    if _excess(_widths([columns, *rows]), most) <= 0:
        return shown
    table = [columns, *([brief_age(cell) for cell in row] for row in rows)]
    least = [
        min(size, fitting.yielding.get(name, size))
        if name not in fitting.wrapping
        else min(size, _LEAST)
        for name, size in zip(columns, _widths(table))
    ]
    empty = [at for at in shown if not any(row[at] for row in rows)]
    order = sorted(
        (at for at in shown if columns[at] in fitting.dropped),
        key=lambda at: (at not in empty, fitting.dropped.index(columns[at])),
    )
    for at in order:
        if _excess([least[each] for each in shown], most) <= 0:
            break
        shown.remove(at)
    return shown


def lay_out(
    header: Optional[Sequence[str]],
    rows: Sequence[Sequence[str]],
    *,
    most: Optional[int] = None,
    yielding: Optional[Mapping[int, int]] = None,
    kept: Sequence[int] = (),
    wrapping: Sequence[int] = (),
    coloured: Sequence[int] = (),
) -> list[str]:
    """Return the lines of a table.

    most: the cells of a line; None shortens nothing. Where the table is wider, ages are shown in
    their brief form. yielding: the columns to shorten first, least
    important first, with the cells that each keeps; if that is not enough, all are shortened,
    widest first, but those that are kept. wrapping: columns that continue on the next line instead,
    so that nothing of them is lost. coloured: columns whose cells get the colours of their words.
    """
    table = [*([] if header is None else [header]), *rows]
    if not table:
        return []
    widths = _widths(table)
    if most is not None and _excess(widths, most) > 0:
        table = [[brief_age(cell) for cell in row] for row in table]
        widths = narrowed(_widths(table), most, yielding or {}, kept)
    return [line for row in table for line in _lines(row, widths, wrapping, coloured)]


def _widths(table: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*table)]


def _excess(widths: Sequence[int], most: int) -> int:
    return sum(widths) + GAP * (len(widths) - 1) - most


def narrowed(
    widths: Sequence[int], most: int, yielding: Mapping[int, int], kept: Sequence[int] = ()
) -> list[int]:
    """Return widths with which columns and the gaps between them take at most `most` cells, unless
    the kept ones take more.
    """
    widths = list(widths)
    excess = _excess(widths, most)
    for at, least in yielding.items():
        less = max(0, min(excess, widths[at] - least))
        widths[at] -= less
        excess -= less
    others = [at for at in range(len(widths)) if at not in kept]
    while excess > 0 and others:
        # From the widest, so that columns with little text stay whole.
        widest = max(others, key=lambda at: widths[at])
        if widths[widest] <= _LEAST:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _lines(
    row: Sequence[str], widths: Sequence[int], wrapping: Sequence[int], coloured: Sequence[int]
) -> Iterator[str]:
    """The lines of a row: several if cells continue."""
    if wrapping:
        # Imported here: only tables with sentences need it, and those need not be fast.
        import textwrap

    columns = [
        textwrap.wrap(cell, most) if at in wrapping else [shortened(cell, most)]
        for at, (cell, most) in enumerate(zip(row, widths))
    ]
    for cells in zip_longest(*columns, fillvalue=""):
        padding = [" " * (most - width(cell)) for cell, most in zip(cells, widths)]
        if coloured:
            from genvx.shown.colours import coloured as paint

            cells = tuple(
                paint(cell, row[at]) if at in coloured else cell for at, cell in enumerate(cells)
            )
        padded = (cell + more for cell, more in zip(cells, padding))
        yield (" " * GAP).join(padded).rstrip()
