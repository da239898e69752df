"""A line of a hostfile, whose errors say where the fault is."""

from __future__ import annotations

from typing import NoReturn

from genvx.core.text import printable
from genvx.errors import InvalidHostfile


class Line:
    """Line is a line of a hostfile; its errors name file, line and column and show the text.

    number: counted from 1; 0 if the text comes from the command line.
    """

    def __init__(self, source: str, number: int, text: str) -> None:
        self.source = source
        self.number = number
        self.text = text

    def fail(self, column: int, message: str) -> NoReturn:
        """Raise InvalidHostfile for a fault at `column`, counted from 0."""
        place = f"{printable(self.source, 200)}:{self.number}:{column + 1}"
        if self.number == 0:
            raise InvalidHostfile(f"{printable(self.source, 60)}: {message}")
        raise InvalidHostfile(f"{place}: {message}: {printable(self.text.strip(), 120)}")
