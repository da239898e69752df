"""Tables for people, CSV and JSON for programs. Only this module imports tabulate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genvx.core.ages import format_age
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.shown.columns import safe, table_for

SCHEMA = "genvx/1"


@dataclass(frozen=True)
class Output:
    """Output says how a verb shows what it found.

    fields: the columns to show, in this order; all if empty. timestamp: show dates instead of ages.
    style: a format of tabulate, for pages and papers; None for the usual layout.

    Raises:
        InvalidInput: there is no such style.
    """

    json: bool = False
    csv: bool = False
    header: bool = True
    summary: bool = True
    fields: tuple[str, ...] = ()
    timestamp: bool = False
    style: str | None = None

    def __post_init__(self) -> None:
        if self.style is not None:
            known = _styles()
            if self.style not in known:
                shown = printable(self.style, 40)
                raise InvalidInput(f"no style {shown!r}; there are {', '.join(known)}")

    def since(self, age: float) -> str:
        """Return an age of so many seconds as text, or the date since when with `timestamp`."""
        if not self.timestamp:
            return format_age(age)
        from datetime import UTC, datetime, timedelta

        # By our own wall clock: the clock of the host may be wrong, its ages are not.
        moment = datetime.now(UTC) - timedelta(seconds=age)  # noqa: TID251
        return moment.astimezone().isoformat(timespec="seconds")

    def document(self, verb: str, hosts: list[dict[str, Any]]) -> None:
        """Print the JSON document of a verb; its schema is in docs/reference."""
        print_json({"schema": SCHEMA, "verb": verb, "hosts": hosts})

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        summary: str = "",
        *,
        yielding: Mapping[str, int] | None = None,
        wrapping: Sequence[str] = (),
        answered: bool = True,
    ) -> None:
        """Print rows as a table with a summary below, or as CSV.

        On a terminal no line is wider than the terminal; elsewhere nothing is shortened. yielding:
        the columns that are shortened, least important first, and the characters that each keeps.
        wrapping: the columns that continue in the next line instead. answered: False if no host
        answered; then nothing is printed but the column names of CSV.
        """
        columns, rows = self._only_fields(columns, rows)
        # Cells contain what other users and hosts have written: an escape sequence in a name must
        # not reach the terminal.
        shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
        if self.csv:
            sys.stdout.write(_csv(columns if self.header else None, shown))
            return
        if not answered:
            return
        if self.style is not None:
            print(_styled(self.style, columns if self.header else None, shown))
            return
        lines = table_for(
            sys.stdout, columns, shown, header=self.header, yielding=yielding, wrapping=wrapping
        )
        for line in lines:
            print(line)
        if summary and self.summary:
            print(f"\n{summary}")

    def _only_fields(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        if not self.fields:
            return columns, rows
        known = [column.lower() for column in columns]
        for field in self.fields:
            if field.lower() not in known:
                raise InvalidInput(
                    f"no field {printable(field, 40)!r}; there are {', '.join(known)}"
                )
        at = [known.index(field.lower()) for field in self.fields]
        return [columns[n] for n in at], [[row[n] for n in at] for row in rows]


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


def print_json(document: dict[str, Any]) -> None:
    """Print a JSON document, indented."""
    import json

    print(json.dumps(document, indent=2, ensure_ascii=False))


def _styles() -> list[str]:
    # Loading tabulate takes a quarter of the time of `genvx devices`. So the usual layout, which
    # has to fit terminals anyway, is our own (shown/columns.py).
    from tabulate import tabulate_formats

    # This style does not escape the names that users have chosen.
    return [name for name in tabulate_formats if name != "unsafehtml"]


def _styled(style: str, columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    # Otherwise tabulate would take an id such as 00012e34 for a number, and print another one.
    return tabulate(rows, headers=columns or (), tablefmt=style, disable_numparse=True)


def _csv(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    import csv
    import io

    buffer = io.StringIO()
    # The default, "\r\n", would leave a carriage return in the last field for cut, awk and read.
    writer = csv.writer(buffer, lineterminator="\n")
    if columns is not None:
        writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
