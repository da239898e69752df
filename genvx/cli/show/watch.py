"""Repeated drawing, as `watch` does it, on the terminal's alternate screen."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import TextIO

from genvx.cli.show.screen import other_screen
from genvx.shown.cells import terminal_size
from genvx.shown.colours import cut
from genvx.shown.console import INTERRUPTED

# Errors of hosts get at most one such part of the screen; the rest is for the table.
_FOR_ERRORS = 4


def watch(interval: float, draw: Callable[[], int]) -> int:
    """Draw every `interval` seconds until Ctrl-C; return the exit code.

    On a terminal the former screen is restored afterwards, also when a signal ends us. If there is
    too little room, the header, the top rows and the summary are shown. Elsewhere the drawings
    follow each other.
    """
    if not sys.stdout.isatty():
        return _repeat(interval, draw)
    with other_screen():
        return _repeat(interval, lambda: _redraw(draw))


def _repeat(interval: float, draw: Callable[[], int]) -> int:
    try:
        while True:
            # Ctrl-C while hosts are asked is handled in `Where.ask`; it must also end the watch.
            if draw() == INTERRUPTED:
                return INTERRUPTED
            sys.stdout.flush()
            time.sleep(interval)
    except KeyboardInterrupt:
        return INTERRUPTED


class _Page(io.StringIO):
    """Collects output for a terminal, before it is cut to the size of the terminal."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__()
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._terminal.encoding

    # Tables are cut to the width of a terminal, which they ask their stream for.
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._terminal.fileno()


def _redraw(draw: Callable[[], int]) -> int:
    page, errors = _Page(sys.stdout), io.StringIO()
    with redirect_stdout(page), redirect_stderr(errors):
        code = draw()
    columns, height = terminal_size(sys.stdout) or (80, 24)
    below = fitted(errors.getvalue().splitlines(), max(1, height // _FOR_ERRORS))
    lines = fitted(page.getvalue().splitlines(), height - len(below)) + below
    # Drawn over the last one; clearing the screen first would flicker.
    ends = "\x1b[K\n".join(cut(line, columns) for line in lines)
    sys.stdout.write(f"\x1b[H{ends}\x1b[J")
    return code


def fitted(lines: list[str], height: int) -> list[str]:
    """Return the lines that fit a screen: the top ones, the number of missing ones, the summary.

    The summary is the last line, if an empty one is before it.
    """
    if len(lines) <= height:
        return lines
    end = lines[-2:] if len(lines) > 1 and not lines[-2] and height > 4 else []
    top = max(0, height - len(end) - 1)
    return [*lines[:top], f"and {len(lines) - len(end) - top} more lines", *end]
