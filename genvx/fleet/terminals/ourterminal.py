"""The terminal of this program: its mode, its size, and how it is restored."""

from __future__ import annotations

import contextlib
import signal
import socket
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def is_raw() -> bool:
    """Return whether our terminal is in raw mode, as it is once ssh has a session."""
    try:
        return not termios.tcgetattr(0)[3] & termios.ICANON
    except termios.error:
        return True


@contextlib.contextmanager
def restored_terminal() -> Iterator[None]:
    """Restore the terminal's settings at the end of the block, whatever happens."""
    before = termios.tcgetattr(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def size_changes() -> Iterator[socket.socket]:
    """Yield a socket that becomes readable when the size of the terminal changes, or may have
    changed while we were stopped.
    """
    # A wake-up descriptor instead of a handler that sends the size: the handler runs between any
    # two instructions, also where paramiko holds a lock that the message would need.
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    # The wake-up works only for signals with a handler in Python; by default these are ignored.
    numbers = (signal.SIGWINCH, signal.SIGCONT)
    before = {each: signal.signal(each, lambda number, frame: None) for each in numbers}
    try:
        yield ours
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(wakeup)
        ours.close()
        theirs.close()
