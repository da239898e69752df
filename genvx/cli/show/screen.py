"""The alternate screen of a terminal, and the way back from it, whatever ends or stops us."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# Enters the alternate screen and hides the cursor; then back to what was there before. Emptied
# first: after a change of its size, tmux 3.3 shows what was on it for longer.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[H\x1b[J\x1b[?25h\x1b[?1049l"
# For those who read keys: clicks and the wheel are sent, too, and no line wraps.
_LISTEN = "\x1b[?7l\x1b[?1000h\x1b[?1006h"
_IGNORE = "\x1b[?1006l\x1b[?1000l\x1b[?7h"


class Screen:
    """The alternate screen while we use it.

    lock: held by whoever draws or reads keys. stale: something else was shown there since the last
    drawing; whoever draws all of it again sets it to False.
    """

    def __init__(self, *, keys: bool) -> None:
        self.lock = threading.RLock()
        self.stale = True
        self._keys = keys
        self._before: list[Any] | None = None

    def enter(self) -> None:
        """Switch to the alternate screen."""
        if self._keys:
            with suppress(termios.error):
                self._before = self._before or termios.tcgetattr(0)
                modes = termios.tcgetattr(0)
                # Ctrl-C and Ctrl-Z stay signals.
                modes[0] &= ~(termios.ICRNL | termios.IXON)
                modes[3] &= ~(termios.ICANON | termios.ECHO | termios.IEXTEN)
                modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
                termios.tcsetattr(0, termios.TCSANOW, modes)
        _write(_ENTER + _LISTEN * self._keys)
        self.stale = True

    def leave(self) -> None:
        """Switch back to what was there before."""
        if self._before is not None:
            with suppress(termios.error):
                # At once, without waiting for a terminal that takes nothing any more.
                termios.tcsetattr(0, termios.TCSANOW, self._before)
                # What was typed for us is not for the shell.
                termios.tcflush(0, termios.TCIFLUSH)
        _write(_IGNORE * self._keys + _LEAVE)


_current: Screen | None = None


@contextmanager
def other_screen(*, keys: bool = False) -> Iterator[Screen]:
    """Use the alternate screen; restore the terminal whatever ends or stops us.

    keys: keys are read one by one, and not shown; clicks, too.
    """
    global _current

    def leave(number: int, frame: FrameType | None) -> None:
        screen.leave()
        # The default action does what the sender meant, and the shell sees the right cause of our
        # end or stop; a handler that exits by itself would hide it.
        before = signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Execution continues here after a stop (Ctrl-Z, fg), with the shell's screen shown.
        signal.signal(number, before)
        screen.enter()

    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)
    former = {number: signal.getsignal(number) for number in numbers}
    screen = _current = Screen(keys=keys)
    for number, action in former.items():
        # An ignored signal stays ignored: nohup ignores SIGHUP so that we go on.
        if action is not signal.SIG_IGN:
            signal.signal(number, leave)
    try:
        screen.enter()
        yield screen
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        screen.leave()
        _current = None
        for number, action in former.items():
            signal.signal(number, action)


@contextmanager
def aside() -> Iterator[None]:
    """Leave the alternate screen, if we use it, for a question on the terminal; then return."""
    screen = _current
    if screen is None:
        yield
        return
    with screen.lock:
        screen.leave()
        try:
            yield
        finally:
            screen.enter()


def _write(sequence: str) -> None:
    """Write to the terminal without Python's buffer, which a signal may have interrupted."""
    with suppress(OSError):
        os.write(1, sequence.encode("ascii"))
