"""What commands and keepers say to each other: JSON behind its length, on a socket."""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from genvx.core.wire.plain import Malformed, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Sequence

# A reply of a host has 64 MiB at most, and JSON is ASCII here.
_MOST = 128 << 20
_HEAD = 4


class Broken(Exception):
    """Broken: the other end is gone, silent, somebody else's, or says what makes no sense."""


class Frames:
    """Frames sends and receives plain data on a connected socket, which it closes.

    takes: so many descriptors are taken that come with what is received.
    """

    def __init__(self, sock: socket.socket, *, takes: int = 0) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._takes = takes
        self._descriptors: list[int] = []

    def close(self) -> None:
        """Close the socket, and the descriptors that came and nobody has taken."""
        self._socket.close()
        for descriptor in self.descriptors():
            os.close(descriptor)

    def descriptors(self) -> list[int]:
        """Return the descriptors that have come; from now on they are the caller's."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._socket.fileno()

    def require_ours(self) -> None:
        """Check that the process on the other end is ours; raise Broken if it is not."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        # pid, uid and gid.
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
            raise Broken("the other end is another user")

    def send(self, plain: Any, timeout: float, descriptors: Sequence[int] = ()) -> None:
        """Send plain data, with descriptors.

        Raises:
            Broken: the other end does not take it within `timeout` seconds.
        """
        body = dumps(plain)
        data = len(body).to_bytes(_HEAD, "big") + body
        try:
            self._socket.settimeout(timeout)
            if descriptors:
                data = data[socket.send_fds(self._socket, [data], descriptors) :]
            self._socket.sendall(data)
        except OSError as error:
            raise Broken(str(error)) from None

    def receive(self, timeout: float) -> Any:
        """Return what is sent next.

        Raises:
            Broken: it is not there within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        size = int.from_bytes(self._take(_HEAD, end), "big")
        if size > _MOST:
            raise Broken("too much")
        try:
            return loads(self._take(size, end))
        except Malformed as error:
            raise Broken(str(error)) from None

    def _take(self, size: int, end: float) -> bytes:
        while len(self._buffer) < size:
            try:
                self._socket.settimeout(max(0.001, end - time.monotonic()))
                data = self._receive()
            except OSError as error:
                raise Broken(str(error)) from None
            if not data:
                raise Broken("the other end is gone")
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _receive(self) -> bytes:
        if not self._takes:
            return self._socket.recv(1 << 18)
        data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 18, self._takes)
        self._descriptors += descriptors
        return data
