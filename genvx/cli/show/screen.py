"""The alternate screen of a terminal, and the way back from it, whatever ends or stops us."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Enters the alternate screen and hides the cursor; then back to what was there before.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"


@contextmanager
def other_screen() -> Iterator[None]:
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
