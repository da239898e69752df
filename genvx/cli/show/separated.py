"""Comma-separated values."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def csv_of(columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """Return rows as text; columns: None leaves out the header."""
    buffer = io.StringIO()
    # The default, "\r\n", would leave a carriage return in the last field for cut, awk and read.
    writer = csv.writer(buffer, lineterminator="\n")
    if columns is not None:
        writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
