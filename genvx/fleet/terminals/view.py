"""Our terminal as a view of the terminal of a run, here or on a host."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time
import tty
from typing import TYPE_CHECKING, Protocol

from genvx.core.screen import Screen
from genvx.core.wire.viewing import ALIVE_AGAIN, keys, size
from genvx.fleet.terminals.leaving import Leaving
from genvx.fleet.terminals.ourterminal import restored_terminal, size_changes

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from types import FrameType

    class Stream(Protocol):
        """The terminal of a run: a socket that does not block, or RemoteView."""

        def fileno(self) -> int: ...

        def recv(self, most: int, /) -> bytes: ...

        def send(self, data: bytes, /) -> int: ...


_PART = 65536
# The most typed bytes that wait; beyond that our terminal is not read.
_MOST_TYPED = 65536
# How soon it is tried again to send what was not taken.
_AGAIN = 0.02
# What a terminal has that does not say its size.
_COLUMNS, _ROWS = 80, 24


def view(stream: Stream) -> bool:
    """Show a run's terminal in ours, and pass on what is typed, until it ends; return whether the
    person left it before its end.

    Our terminal is restored in any case. Call it in the main thread of a program whose stdin and
    stdout are a terminal.
    """
    screen = Screen()
    shown = _Shown(screen)
    with restored_terminal(), _unwinding(), size_changes() as changed:
        # tty.setraw's default, TCSAFLUSH, discards what was typed ahead.
        tty.setraw(0, termios.TCSADRAIN)
        try:
            return _pass_through(stream, shown, changed)
        finally:
            shown.finish()


class _Shown:
    """What our terminal shows."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last = b"\n"

    def write(self, data: bytes) -> None:
        self._screen.feed(data)
        self._last = data[-1:]
        _write_all(data)

    def finish(self) -> None:
        """Make the terminal ready for what comes next, on a line of its own."""
        with contextlib.suppress(OSError):
            _write_all(self._screen.undo() + (b"" if self._last == b"\n" else b"\r\n"))


def _pass_through(stream: Stream, shown: _Shown, changed: socket.socket) -> bool:
    leaving = Leaving()
    to_send, said = _our_size(), time.monotonic()
    while True:
        try:
            data = stream.recv(_PART)
            if not data:
                return False
            shown.write(data)
        except BlockingIOError:
            pass
        except ConnectionError:
            return False
        if time.monotonic() >= said + ALIVE_AGAIN:
            to_send, said = to_send + _our_size(), time.monotonic()
        with contextlib.suppress(BlockingIOError, ConnectionError):
            to_send = to_send[stream.send(to_send) :] if to_send else b""
        sources = [stream.fileno(), changed.fileno()]
        sources += [0] if len(to_send) < _MOST_TYPED else []
        ready = _readable(sources, _AGAIN if to_send else said + ALIVE_AGAIN - time.monotonic())
        if changed.fileno() in ready:
            changed.recv(4096)
            # After a stop (SIGSTOP) the terminal may be in another mode.
            tty.setraw(0, termios.TCSADRAIN)
            to_send, said = to_send + _our_size(), time.monotonic()
        if 0 in ready:
            typed = os.read(0, _PART)
            passed, leaves = leaving.feed(typed)
            if leaves or not typed:
                return True
            to_send += keys(passed)


def _our_size() -> bytes:
    columns, rows = os.get_terminal_size(0)
    return size(rows or _ROWS, columns or _COLUMNS)


def _readable(descriptors: list[int], seconds: float) -> set[int]:
    # poll() instead of select(), which takes no descriptor above 1,023.
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)}


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Have a signal that would end us at once end the block, so that the terminal is restored."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
