"""One line that says how far a question to many hosts has come; only on a terminal, and
only if it takes long.
"""

from __future__ import annotations

import sys
import threading

from genvx.core.block import Block

_PATIENCE = 0.5

# Held by whoever has the terminal's line: progress is not drawn over a question.
LINE = threading.Lock()


class Progress(Block):
    """`37/256 hosts, 2 failed` on stderr, gone when the block ends."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._succeeded = self._failed = 0
        self._shown = False
        # Not sys.stderr: a watch collects what is said there, and would wait with an empty screen.
        self._stream = sys.__stderr__ or sys.stderr
        # Those that answer do so at once, mostly; who waits for the others wants to know how many.
        self._timer: threading.Timer | None = None
        if total > 1 and self._stream.isatty():
            self._timer = threading.Timer(_PATIENCE, self._show)
            self._timer.daemon = True

    def update(self, succeeded: int, failed: int) -> None:
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
            self._timer.join()  # it may be drawing just now
        self._clear()
