"""Printing of a request that found no room: a line for each host, and what would help."""

from __future__ import annotations

import sys

from genvx.core.text import printable
from genvx.errors import FleetError, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.shown.cells import shortened, terminal_size
from genvx.shown.console import say

WAIT = "To wait in line for them, add --wait (or --wait=30m to wait at most 30 minutes)"

# Lines of the screen for the command, the first line, the last ones, and the next prompt.
_AROUND = 6
_FEWEST = 3


def advise(error: NoCapacity) -> None:
    """Add to a refusal the advice to wait, if waiting can help."""
    if error.waiting_helps and not isinstance(error, (Unsatisfiable, WaitedTooLong)):
        error.add_note(WAIT)


def say_refusal(error: NoCapacity | FleetError) -> None:
    """Print why there is no room, or no answer; on a terminal at most a screen, without wraps."""
    size = terminal_size(sys.stderr)
    head = str(error) if error.reasons else f"genvx: {error}"
    for line in [head] if size is None else _folded(head, size.columns):
        say(line)
    lines = [f"  {host}: {reason}" for host, reason in error.reasons.items()]
    more = 0
    if size is not None:
        room = max(_FEWEST, size.lines - _AROUND)
        # "and 1 more host" would take the line that the host itself could have.
        more = len(lines) - room if len(lines) > room + 1 else 0
        lines = [shortened(line, size.columns) for line in lines[: len(lines) - more]]
    for line in lines:
        say(line)
    if more:
        say(f"  and {more} more hosts")
    for note in getattr(error, "__notes__", ()):
        say(note)


def _folded(text: str, most: int) -> list[str]:
    """Split the text into lines that fit a terminal, between words only."""
    import textwrap

    return textwrap.wrap(printable(text), most, subsequent_indent="  ", break_on_hyphens=False)
