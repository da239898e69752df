"""Output says how a verb prints what it found: a table for people, CSV or JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from genvx.cli.schema.document import print_document
from genvx.core.quantities.ages import format_age
from genvx.core.text import printable
from genvx.core.value import replace, value
from genvx.errors import InvalidInput
from genvx.shown.cells import safe
from genvx.shown.columns import Fitting, table_for


@value
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
            from genvx.cli.show.styles import styles

            known = styles()
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
        print_document(verb, hosts=hosts)

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        summary: str = "",
        *,
        fitting: Fitting | None = None,
        answered: bool = True,
    ) -> None:
        """Print rows as a table with a summary below, or as CSV.

        fitting: how columns give way where a terminal is too narrow; none that was asked for is
        left out. answered: False if no host answered; then nothing is printed but the column names
        of CSV.
        """
        if self.fields:
            from genvx.cli.show.fields import only

            columns, rows = only(self.fields, columns, rows)
            fitting = None if fitting is None else replace(fitting, dropped=())
        # Cells contain what other users and hosts have written: an escape sequence in a name must
        # not reach the terminal.
        shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
        if self.csv:
            from genvx.cli.show.separated import csv_of

            sys.stdout.write(csv_of(columns if self.header else None, shown))
            return
        if not answered:
            return
        if self.style is not None:
            from genvx.cli.show.styles import styled

            print(styled(self.style, columns if self.header else None, shown))
            return
        table = table_for(sys.stdout, columns, shown, fitting, header=self.header)
        for line in table.lines:
            print(line)
        notes = [summary] if summary else []
        if table.left_out:
            notes.append(f"too narrow for {', '.join(table.left_out)}")
        if notes and self.summary:
            print(f"\n{'; '.join(notes)}")
