"""Tables for people, CSV and JSON for programs. The only door to tabulate."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genvx.cli.main import INTERRUPTED
from genvx.core.text import printable
from genvx.core.units import format_age
from genvx.errors import InvalidInput

SCHEMA = "genvx/1"


@dataclass(frozen=True)
class Output:
    """How a verb shows what it found.

    fields: only these columns, in this order. timestamp: since when, and not for how long.
    """

    json: bool = False
    csv: bool = False
    header: bool = True
    summary: bool = True
    fields: tuple[str, ...] = ()
    timestamp: bool = False

    def since(self, age: float) -> str:
        """Since when something is so, that has been so for `age` seconds."""
        if not self.timestamp:
            return format_age(age)
        from datetime import UTC, datetime, timedelta

        # For people, and by our own wall clock: that of the host may be wrong.
        moment = datetime.now(UTC) - timedelta(seconds=age)  # noqa: TID251
        return moment.astimezone().isoformat(timespec="seconds")

    def document(self, verb: str, hosts: list[dict[str, Any]]) -> None:
        """Print the JSON document of a verb; its schema is in docs/reference."""
        print_json({"schema": SCHEMA, "verb": verb, "hosts": hosts})

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]], summary: str = ""
    ) -> None:
        """Print rows as a table with a summary below, or as CSV."""
        columns, rows = self._only_fields(columns, rows)
        safe = [[printable(cell, 300) for cell in row] for row in rows]
        if self.csv:
            sys.stdout.write(_csv(columns if self.header else None, safe))
            return
        if safe or self.header:
            print(_plain(columns if self.header else None, safe))
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
    """The fields that --fields names.

    Raises:
        InvalidInput: JSON is asked for, which has them all.
    """
    if text is None:
        return ()
    if json:
        raise InvalidInput("--fields is for tables and --csv; --json has all of them")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def print_json(document: dict[str, Any]) -> None:
    import json

    print(json.dumps(document, indent=2, ensure_ascii=False))


def _plain(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    if columns is None and not rows:
        return ""
    text = tabulate(
        [columns, *rows] if columns is not None else rows,
        tablefmt="plain",
        disable_numparse=True,
        preserve_whitespace=True,
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _csv(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    if columns is not None:
        writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def watch(interval: float, draw: Callable[[], int]) -> int:
    """Draw again and again until Ctrl-C; on a terminal each time on a clean screen."""
    terminal = sys.stdout.isatty()
    try:
        while True:
            if terminal:
                sys.stdout.write("\x1b[H\x1b[2J")
            if draw() == INTERRUPTED:
                return INTERRUPTED
            sys.stdout.flush()
            time.sleep(interval)
    except KeyboardInterrupt:
        return INTERRUPTED
