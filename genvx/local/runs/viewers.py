"""The viewers of the terminal of a run: each sees what the run prints, and can type into it.

Viewers never delay the run. Output that a viewer does not read in time is left out for it, and a
viewer that reads nothing, or sends nothing, for a while is dropped. The terminal has the smallest
size of all viewers; without viewers it keeps its size.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.screen import Screen, shown_again
from genvx.core.wire.plain import Malformed
from genvx.core.wire.viewing import ALIVE_AGAIN, Frames, Size
from genvx.errors import StateError
from genvx.local.runs import logs, viewsocket
from genvx.local.runs.terminal import USUAL

if TYPE_CHECKING:
    import socket

    from genvx.local.runs.terminal import Terminal
    from genvx.local.runs.wakeups import Wakeup, Wakeups
    from genvx.local.state.directory import StateDirectory

_MOST_VIEWERS = 32
# Bytes of the log that a viewer gets at the beginning, and after some output was left out.
REPLAY = 64 * 1024
# Bytes that may wait for a viewer. Of more than that, only the end is kept.
_MOST_WAITING = 1 << 20
# Seconds after which a viewer that reads nothing, or sends nothing, counts as gone; and between
# checks of that.
_UNREAD = 10.0
_SILENT = 6 * ALIVE_AGAIN
_LOOK = 2.0
_PART = 65536
# Ends an escape sequence that was cut, and resets the colours.
_BROKEN_OFF = b"\x18\x1b[0m\r\n"


class _Viewer:
    """The connection of one viewer. size: of its terminal; None until it has sent that."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.descriptor = connected.fileno()
        self.frames = Frames()
        self.size: Optional[Size] = None
        self.typed = bytearray()
        self.waiting = bytearray()
        self.skipped = False
        self.heard = self.read = time.monotonic()

    def send(self, data: bytes) -> None:
        """Send what the socket takes now, and keep the rest. Raises OSError: the viewer is gone."""
        if not self.waiting:
            self.read = time.monotonic()
            data = data[self._take(data) :]
        self.waiting += data
        if len(self.waiting) > _MOST_WAITING:
            end = self.waiting[-REPLAY:]
            self.waiting = bytearray(_BROKEN_OFF + end[end.find(b"\n") + 1 :])
            self.skipped = True

    def flush(self) -> None:
        """Send more of what waits. Raises OSError: the viewer is gone."""
        while self.waiting:
            taken = self._take(bytes(self.waiting[:_PART]))
            if not taken:
                return
            self.read = time.monotonic()
            del self.waiting[:taken]

    def _take(self, data: bytes) -> int:
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def is_gone(self, now: float) -> bool:
        """Whether the viewer has read nothing, or sent nothing, for too long."""
        # We read nothing from it while keys of it wait for the terminal.
        silent = not self.typed and now > self.heard + _SILENT
        return silent or (bool(self.waiting) and now > self.read + _UNREAD)


class Viewers:
    """The viewers of one run, over all its attempts.

    log: a descriptor from which the log can be read. size: of the run's terminal, also of the one
    that its next attempt gets. over: whether the run has ended; viewers then only read what waits
    for them.
    """

    def __init__(self, state: StateDirectory, run: str, wakeups: Wakeups, log: int) -> None:
        self.size = USUAL
        self._state = state
        self._run = run
        self._wakeups = wakeups
        self._log = log
        self._screen = Screen()
        self._terminal: Optional[Terminal] = None
        self._viewers: dict[int, _Viewer] = {}
        self.over = False
        self._listener: Optional[socket.socket] = None
        self._pauses = False

    def open(self) -> str:
        """Listen for viewers; return why that is impossible, or an empty text."""
        try:
            self._listener = viewsocket.listen(self._state, self._run)
        except (OSError, StateError) as error:
            return f"this terminal cannot be viewed: {getattr(error, 'strerror', None) or error}"
        self._listener.setblocking(False)
        self._wakeups.watch(self._listener.fileno())
        return ""

    def attach(self, terminal: Optional[Terminal]) -> None:
        """Show this terminal; None between two attempts."""
        self._terminal = terminal
        self._tend_keys()

    @property
    def due(self) -> float:
        """Seconds after which `tend` must be called."""
        return _LOOK if self._viewers or self._pauses else float("inf")

    def feed(self, data: bytes) -> None:
        """Send output of the run to all viewers."""
        self._screen.feed(data)
        for viewer in list(self._viewers.values()):
            if viewer.size is not None:
                self._send(viewer, data)

    def take(self, woken: Wakeup) -> None:
        """Handle the sockets that are ready: admit viewers, read from them, send what waits."""
        if self._listener is not None and self._listener.fileno() in woken.readable:
            self._admit(self._listener)
        for descriptor in woken.readable | woken.writable:
            viewer = self._viewers.get(descriptor)
            if viewer is None:
                continue
            if descriptor in woken.readable and not self.over and not viewer.typed:
                self._hear(viewer)
            elif descriptor in woken.readable:
                self._drop(viewer)  # it has hung up: for nothing else do we wait
            if descriptor in woken.writable and descriptor in self._viewers:
                self._send(viewer, b"")
        if self._terminal is not None and self._terminal.descriptor in woken.writable:
            self._tend_keys()

    def tend(self) -> None:
        """Drop viewers that are gone or do not read, and try again to admit new ones."""
        if self._pauses and self._listener is not None:
            self._pauses = False
            self._wakeups.watch(self._listener.fileno())
        now = time.monotonic()
        for viewer in [each for each in self._viewers.values() if each.is_gone(now)]:
            self._drop(viewer)

    def end(self) -> None:
        """Stop listening, because the run has ended; a viewer is dropped once it has read all."""
        if self.over:
            return
        if self._listener is not None:
            self._admit(self._listener)
        self.over = True
        if self._listener is not None:
            self._wakeups.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            viewsocket.remove(self._state, self._run)
        for viewer in list(self._viewers.values()):
            viewer.typed.clear()
            # One that has not sent its size yet has got nothing so far.
            self._send(viewer, self._again() if viewer.size is None else b"")

    def close(self) -> None:
        """Drop all viewers, also those that have not read everything."""
        for viewer in list(self._viewers.values()):
            self._drop(viewer)

    @property
    def any_left(self) -> bool:
        """Whether a viewer is connected."""
        return bool(self._viewers)

    def _admit(self, listener: socket.socket) -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # We have no descriptor left. The connection stays in the backlog, so poll would
                # report it again at once.
                self._pauses = True
                self._wakeups.watch(listener.fileno(), reads=False)
                return
            # The mode of the socket keeps other users out. Ask the kernel all the same: the mode
            # can be changed.
            with suppress(OSError):
                if (
                    viewsocket.peer_of(connected) == os.geteuid()
                    and len(self._viewers) < _MOST_VIEWERS
                ):
                    connected.setblocking(False)
                    viewer = _Viewer(connected)
                    self._viewers[viewer.descriptor] = viewer
                    self._wakeups.watch(viewer.descriptor)
                    continue
            connected.close()

    def _hear(self, viewer: _Viewer) -> None:
        try:
            data = viewer.socket.recv(_PART)
            if not data:
                raise EOFError
            viewer.heard = time.monotonic()
            for said in viewer.frames.feed(data):
                if isinstance(said, Size):
                    self._resize(viewer, said)
                elif self._terminal is not None and viewer.size is not None:
                    viewer.typed += said
        except BlockingIOError:
            return
        except (OSError, EOFError, Malformed):
            self._drop(viewer)
            return
        self._tend_keys()

    def _resize(self, viewer: _Viewer, said: Size) -> None:
        new = viewer.size is None
        if viewer.size == said or not (said.rows and said.columns):
            return
        if new:
            self._send(viewer, self._again())
        viewer.size = said
        changed = self._fit()
        # A program that draws the whole screen draws it once more.
        if new and not changed and self._terminal is not None:
            self._terminal.redraw()

    def _again(self) -> bytes:
        """The end of the log, for a new viewer."""
        tail, cut = logs.last_bytes(self._log, REPLAY)
        return shown_again(tail, self._screen, cut=cut)

    def _fit(self) -> bool:
        """Give the terminal the smallest size of all viewers; return whether that changed it."""
        sizes = [each.size for each in self._viewers.values() if each.size is not None]
        if not sizes:
            return False
        before = self.size
        self.size = Size(min(s.rows for s in sizes), min(s.columns for s in sizes))
        if self._terminal is not None and self.size != before:
            self._terminal.resize(self.size)
        return self.size != before

    def _send(self, viewer: _Viewer, data: bytes) -> None:
        try:
            if data:
                viewer.send(data)
            else:
                viewer.flush()
        except OSError:
            self._drop(viewer)
            return
        if self.over and not viewer.waiting:
            self._drop(viewer)
            return
        if viewer.skipped and not viewer.waiting and self._terminal is not None:
            viewer.skipped = False
            self._terminal.redraw()
        self._watch(viewer)

    def _watch(self, viewer: _Viewer) -> None:
        self._wakeups.watch(
            viewer.descriptor,
            reads=not viewer.typed and not self.over,
            writes=bool(viewer.waiting),
        )

    def _tend_keys(self) -> None:
        """Pass the keys of viewers to the terminal; what it does not take waits."""
        for viewer in list(self._viewers.values()):
            if viewer.typed:
                if self._terminal is None:
                    viewer.typed.clear()
                else:
                    del viewer.typed[: self._terminal.type(bytes(viewer.typed))]
                self._watch(viewer)
        if self._terminal is not None:
            waits = any(viewer.typed for viewer in self._viewers.values())
            self._wakeups.watch(self._terminal.descriptor, writes=waits)

    def _drop(self, viewer: _Viewer) -> None:
        if self._viewers.pop(viewer.descriptor, None) is not None:
            self._wakeups.forget(viewer.descriptor)
            viewer.socket.close()
            if not self.over:
                self._fit()
