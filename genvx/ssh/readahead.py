"""Reads from a socket ahead of what is asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from genvx.ssh.ending import leave_in_children, shut

if TYPE_CHECKING:
    import socket

_AHEAD = 32_768
# Seconds that a read waits at least. Ten times a second is a noticeable load for many connections.
PEACE = 30.0


class ReadAhead:
    """ReadAhead is a socket that reads large pieces and wakes up seldom.

    paramiko reads a packet in two or three small pieces, each a system call. It also wakes up ten
    times a second to see whether the socket was closed; here, closing wakes the reader.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._reading = threading.Lock()
        self._closing = False
        leave_in_children(self)

    def leave(self) -> None:
        """Leave the connection to the process that we are forked from."""
        # The thread that reads, and may have the lock, is not in this process.
        self._reading = threading.Lock()
        self._closing = True
        self._socket.close()

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes; none after the end or after `close`."""
        with self._reading:
            if self._closing:
                return b""
            data = self._buffer or self._socket.recv(_AHEAD)
            self._buffer = data[size:]
        return data[:size]

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of reads; less than 30 seconds counts as 30."""
        self._socket.settimeout(None if seconds is None else max(seconds, PEACE))

    def close(self) -> None:
        """Close the socket, and wake a thread that reads from it."""
        # A peer that floods us keeps the reader busy even after the shutdown. The flag keeps it
        # from taking the lock again, which might never be free for us otherwise.
        self._closing = True
        shut(self._socket)
        # Closed only when the reader has left. The kernel gives the number of a closed descriptor
        # to the next connection, and a late reader would take that one's data.
        with self._reading:
            self._socket.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
