"""Tables for pages and papers. Only this module imports tabulate.

Loading that takes a quarter of the time of `genvx devices`. So the usual layout, which has to fit
terminals anyway, is our own (shown/columns.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabulate import tabulate, tabulate_formats

if TYPE_CHECKING:
    from collections.abc import Sequence


def styles() -> list[str]:
    """Return the names of the styles."""
    # This style does not escape the names that users have chosen.
    return [name for name in tabulate_formats if name != "unsafehtml"]


def styled(style: str, columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """Return a table in one of the styles; columns: None leaves out the header."""
    # Otherwise tabulate would take an id such as 00012e34 for a number, and print another one.
    return tabulate(rows, headers=columns or (), tablefmt=style, disable_numparse=True)
