"""Repeated drawing, as `watch` does it, on the terminal's alternate screen."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from types import FrameType
from typing import TextIO

from genvx.shown.cells import shortened, terminal_size
from genvx.shown.console import INTERRUPTED

# Enters the alternate screen and hides the cursor; then back to what was there before.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
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
    with _other_screen():
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
    ends = "\x1b[K\n".join(shortened(line, columns) for line in lines)
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


@contextmanager
def _other_screen() -> Iterator[None]:
    """Use the alternate screen; restore the terminal whatever ends or stops us."""

    def leave(number: int, frame: FrameType | None) -> None:
        _write(_LEAVE)
        # The default action does what the sender meant, and the shell sees the right cause of our
        # end or stop; a handler that exits by itself would hide it.
        before = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Execution continues here after a stop (Ctrl-Z, fg), with the shell's screen shown.
        signal.signal(number, before)
        _write(_ENTER)

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
    former = {number: signal.getsignal(number) for number in numbers}
    for number, action in former.items():
        # An ignored signal stays ignored: nohup ignores SIGHUP so that we go on.
        if action is not signal.SIG_IGN:
            signal.signal(number, leave)
    _write(_ENTER)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        _write(_LEAVE)
        for number, action in former.items():
            signal.signal(number, action)


def _write(sequence: str) -> None:
    """Write to the terminal without Python's buffer, which a signal may have interrupted."""
    with suppress(OSError):
        os.write(1, sequence.encode("ascii"))
