"""The line that says how it stands while we wait for devices."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from genvx.cli.show.progress import LINE
from genvx.core.block import Block
from genvx.core.text import printable
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.queue import Standing
    from genvx.core.requirements import Requirements


class WaitingLine(Block):
    """One line on a terminal's stderr that changes; elsewhere a line for each change."""

    def __init__(self, requirements: Requirements) -> None:
        self._requirements = requirements
        self._terminal = sys.stderr.isatty()
        self._shown = ""
        self._hosts: dict[str, Standing] = {}

    def stands(self, standing: Standing) -> None:
        """Show how it stands on this machine."""
        self._show(f"{ordinal(standing.place)} in line; {standing.reason}")

    def stands_on(self, host: str, standing: Standing) -> None:
        """Show how it stands on many hosts: where we are nearest to our turn."""
        with LINE:
            self._hosts[host] = standing
            best = min(self._hosts, key=lambda name: (self._hosts[name].place, name))
            others = len(self._hosts) - 1
            more = f", and {others} more line{'' if others == 1 else 's'}" if others else ""
            nearest = self._hosts[best]
            self._show(f"{ordinal(nearest.place)} in line on {best}; {nearest.reason}{more}")

    def _show(self, text: str) -> None:
        line = f"genvx: waiting for {self._requirements}: {printable(text, 300)}"
        if line == self._shown:
            return
        self._shown = line
        if self._terminal:
            # One line, whatever its terminal's width: what wraps cannot be taken back.
            width = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{line[: width - 1]}")
            sys.stderr.flush()
        else:
            say(line)

    def _leave(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the line away: something else is to be shown."""
        if self._terminal and self._shown:
            self._shown = ""
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
