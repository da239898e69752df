"""The line that shows our place in the line while we wait for devices."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.cli.show.progress import LINE, one_line
from genvx.core.block import Block
from genvx.core.text import printable
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.line.standing import Standing
    from genvx.core.requests.requirements import Requirements


class WaitingLine(Block):
    """WaitingLine shows one changing line on a terminal; elsewhere it prints a line per change."""

    def __init__(self, requirements: Requirements) -> None:
        self._requirements = requirements
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._hosts: dict[str, Standing] = {}

    def stands(self, standing: Standing) -> None:
        """Show the place in the line of this machine."""
        self._show(f"{ordinal(standing.place)} in line; {standing.reason}")

    def stands_on(self, host: str, standing: Standing) -> None:
        """Show the best of the places in the lines of several hosts."""
        # Each host reports in a thread of its own.
        with LINE:
            self._hosts[host] = standing
            best = min(self._hosts, key=lambda name: (self._hosts[name].place, name))
            others = len(self._hosts) - 1
            more = f", and {others} more line{'' if others == 1 else 's'}" if others else ""
            nearest = self._hosts[best]
            self._show(f"{ordinal(nearest.place)} in line on {best}; {nearest.reason}{more}")

    def _show(self, text: str) -> None:
        line = f"genvx: waiting for {self._requirements}: {printable(text, 300)}"
        # Hosts report now and then even if nothing has changed; in a log each would be a line.
        if line == self._shown:
            return
        self._shown = line
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{one_line(line, sys.stderr)}")
            sys.stderr.flush()
        else:
            say(line)

    def _leave(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line, before something else is printed."""
        if self._terminal and self._shown:
            self._shown = ""
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def ordinal(number: int) -> str:
    """Return an ordinal number: 1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
