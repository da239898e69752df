"""One connection through a tunnel: a socket of this machine, and a stream to the host."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.ssh.forwarding import Stream

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

# Bytes that are read from the socket at once. They are kept until the host takes them, and nothing
# is read meanwhile.
_PIECE = 65536
# How much is done for one connection before others have their turn.
_ROUNDS = 4


class Pair:
    """Pair passes bytes between a socket and a stream, without blocking.

    Each direction ends by itself, as connections may be half closed. What is read on one side is
    kept until the other side takes it, and no more is read until then: so a slow reader slows its
    peer down, and costs a piece of memory and the window of its channel.

    registered: the events that a selector waits for. busy: `advance` should be called again soon.
    """

    def __init__(self, sock: socket.socket, stream: Stream) -> None:
        self.sock = sock
        self.stream = stream
        self.registered = 0
        self.busy = False
        self._up = memoryview(b"")
        self._down = memoryview(b"")
        self._up_over = False
        self._down_over = False
        self._cut = False

    def advance(self) -> int | None:
        """Pass on what can be; return the events of the socket to wait for. None: it is over."""
        try:
            self.busy = self._carry_down()
            self._carry_up()
        except OSError:
            self._cut = True  # reset by its peer, for one
            return None
        if self.stream.flooded:
            self._cut = True
            return None
        self.stream.answer()
        if self._up_over and self._down_over:
            return None
        events = 0 if self._up_over or self._up else READ
        return events | (WRITE if self._down else 0)

    def _carry_down(self) -> bool:
        """Bring what the host sent to the socket; return whether more is there."""
        for _ in range(_ROUNDS):
            if not self._down:
                data = None if self._down_over else self.stream.receive()
                if data is None:
                    return False
                if not data:
                    self._down_over = True
                    if self.stream.cut:
                        raise ConnectionResetError
                    with contextlib.suppress(OSError):  # the peer has closed it: no loss
                        self.sock.shutdown(socket.SHUT_WR)
                    return False
                self._down = memoryview(data)
            try:
                self._down = self._down[self.sock.send(self._down) :]
            except BlockingIOError:
                return False
        return True

    def _carry_up(self) -> None:
        """Bring what the socket has to the host, a piece at a time."""
        if not self._up_over and not self._up:
            try:
                self._up = memoryview(self.sock.recv(_PIECE))
            except BlockingIOError:
                pass
            else:
                if not self._up:
                    self._up_over = True
                    self.stream.finish()
        if self.stream.closed:
            # Nobody there reads it.
            self._up, self._up_over = memoryview(b""), True
        while self._up and (sent := self.stream.send(self._up)):
            self._up = self._up[sent:]

    def close(self) -> None:
        """Close both sides; where bytes may be missing, the socket is reset, not ended."""
        if self._cut or not (self._up_over and self._down_over):
            reset(self.sock)
        self.sock.close()
        self.stream.close()


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer does not take what it has got for all there was."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
