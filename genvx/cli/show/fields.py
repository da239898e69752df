"""The columns that --fields names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence


def fields_of(text: str | None, *, json: bool) -> tuple[str, ...]:
    """Parse the value of --fields.

    Raises:
        InvalidInput: it is combined with JSON, which has all fields.
    """
    if text is None:
        return ()
    if json:
        raise InvalidInput("--fields is for tables and --csv; --json has all of them")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def only(
    fields: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Return the columns that are named, in that order, of the header and of every row.

    Raises:
        InvalidInput: there is no such column.
    """
    known = [column.lower() for column in columns]
    for field in fields:
        if field.lower() not in known:
            raise InvalidInput(f"no field {printable(field, 40)!r}; there are {', '.join(known)}")
    at = [known.index(field.lower()) for field in fields]
    return [columns[n] for n in at], [[row[n] for n in at] for row in rows]
