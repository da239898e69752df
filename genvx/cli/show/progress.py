"""A progress line for questions to many hosts, on a terminal only, and only if they take long."""

from __future__ import annotations

import os
import sys
import threading
from typing import IO

from genvx.core.block import Block

_PATIENCE = 0.5

# Held while a thread writes to the last line: progress must not overwrite a question.
LINE = threading.Lock()


def one_line(text: str, terminal: IO[str]) -> str:
    """Return the beginning of a text that fits one line of a terminal.

    A line that wraps could not be erased with \\r and \\x1b[K.
    """
    # Not of shutil, which asks stdout: that may be a pipe while stderr is a terminal.
    return text[: (os.get_terminal_size(terminal.fileno()).columns or 80) - 1]


class Progress(Block):
    """Progress shows `37/256 hosts, 2 failed` on stderr and removes it when its block ends."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._succeeded = self._failed = 0
        self._shown = False
        # Not sys.stderr: a watch collects that and shows it with the next drawing, too late.
        self._stream = sys.__stderr__ or sys.stderr
        # Most hosts answer at once. A line that appears and vanishes would only flicker.
        self._timer: threading.Timer | None = None
        if total > 1 and self._stream.isatty():
            self._timer = threading.Timer(_PATIENCE, self._show)
            self._timer.daemon = True

    def update(self, succeeded: int, failed: int) -> None:
        """Set the numbers of hosts that have answered and failed."""
        with LINE:
            self._succeeded, self._failed = succeeded, failed
            if self._shown:
                self._draw()

    def _clear(self) -> None:
        with LINE:
            if self._shown:
                self._stream.write("\r\x1b[K")
                self._stream.flush()

    def _show(self) -> None:
        with LINE:
            self._shown = True
            self._draw()

    def _draw(self) -> None:
        trouble = f", {self._failed} failed" if self._failed else ""
        answered = self._succeeded + self._failed
        self._stream.write(f"\r\x1b[K{answered}/{self._total} hosts{trouble}")
        self._stream.flush()

    def __enter__(self) -> Progress:
        if self._timer is not None:
            self._timer.start()
        return self

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            # The timer may be drawing at this moment, and would leave its line behind.
            self._timer.join()
        self._clear()
