"""One connection between two supervisors: lines, never waited for."""

from __future__ import annotations

import errno
import os
import socket
from time import monotonic
from typing import TYPE_CHECKING, Union

from genvx.core.wire import gangtalk
from genvx.core.wire.plain import Malformed

if TYPE_CHECKING:
    from typing import Protocol

    from genvx.core.wire.gangtalk import Word

    class Wakeups(Protocol):
        """What ends the sleep of a supervisor, which has one thread."""

        def watch(self, descriptor: int) -> None:
            """Wake also when there is something to read from a descriptor."""

        def forget(self, descriptor: int) -> None:
            """Watch a descriptor no more; to be called before it is closed."""


_PART = 4096
# Nobody of a gang says as much at once: a line is short, and the rarest comes every 30 s.
_MOST_AT_ONCE = 16 * _PART

Address = tuple[int, Union[tuple[str, int], tuple[str, int, int, int]]]


def resolve(address: str, port: int) -> list[Address]:
    """The addresses of a name. Raises OSError if it has none."""
    if not address:
        raise OSError("it has no address")
    found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICSERV)
    return [(family, place) for family, _, _, _, place in found]  # type: ignore[misc]


class Link:
    """A connection that is read and written without waiting.

    heard: when the other side said something last. open: whether it is connected, or still
    connecting. why: what ended it.
    """

    def __init__(self, connection: socket.socket, wakeups: Wakeups) -> None:
        self._socket = connection
        self._wakeups = wakeups
        self._rest = b""
        self.since = self.heard = monotonic()
        self.open = True
        self.why = ""
        connection.setblocking(False)
        wakeups.watch(connection.fileno())

    @classmethod
    def connect(cls, address: Address, wakeups: Wakeups) -> Link:
        """A connection that is being made. Raises OSError."""
        family, place = address
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        code = connection.connect_ex(place)
        if code not in (0, errno.EINPROGRESS):
            connection.close()
            raise OSError(code, os.strerror(code))
        # How it goes on is seen when it is read.
        return cls(connection, wakeups)

    def read(self) -> list[Word]:
        """What the other side has said; what is not understood, and an end, closes it."""
        words: list[Word] = []
        data = b""
        ended = False
        try:
            while not ended and len(data) < _MOST_AT_ONCE:
                part = self._socket.recv(_PART) if self.open else b""
                ended = not part
                data += part
        except BlockingIOError:
            pass
        except OSError as error:
            ended, self.why = True, error.strerror or str(error)
        try:
            lines, self._rest = gangtalk.split(self._rest + data)
            words = [gangtalk.read(line) for line in lines]
        except Malformed as error:
            ended, self.why = True, str(error)
        if words:
            self.heard = monotonic()
        if ended or len(data) >= _MOST_AT_ONCE:
            self.close()
        return words

    def say(self, line: str) -> None:
        """Say a line. A line that cannot be said closes it."""
        if not self.open:
            return
        try:
            # Our lines fit the buffer of the kernel, unless the other side has read nothing for
            # hours.
            whole = self._socket.send(line.encode()) == len(line)
        except OSError as error:
            whole, self.why = False, error.strerror or str(error)
        if not whole:
            self.close()

    def close(self) -> None:
        """Hang up. A second call does nothing."""
        if self.open:
            self.open = False
            self._wakeups.forget(self._socket.fileno())
            self._socket.close()
