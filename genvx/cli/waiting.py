"""The line that says how it stands while we wait for devices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.cli.main import say
from genvx.core.text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from genvx.core.queue import Turn
    from genvx.core.request import Requirements


class WaitingLine:
    """One line on a terminal's stderr that changes; elsewhere a line for each change."""

    def __init__(self, requirements: Requirements) -> None:
        self._requirements = requirements
        self._terminal = sys.stderr.isatty()
        self._shown = ""

    def stands(self, turn: Turn) -> None:
        """Show how it stands on this machine."""
        self.show(f"{ordinal(turn.place)} in line; {turn.reason}")

    def show(self, text: str) -> None:
        line = f"genvx: waiting for {self._requirements}: {printable(text, 300)}"
        if line == self._shown:
            return
        self._shown = line
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
        else:
            say(line)

    def __enter__(self) -> WaitingLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._terminal and self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
