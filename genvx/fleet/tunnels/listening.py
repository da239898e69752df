"""The ports of this machine on which a tunnel listens."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from genvx.core.block import Block
from genvx.core.limits import exhausted
from genvx.core.value import replace
from genvx.errors import GenvxError, InvalidInput
from genvx.fleet.tunnels.forward import LOOPBACK, require_address, require_forwards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.fleet.tunnels.forward import Forward

# How many ports above one that is taken are tried.
_MORE = 1000
_MOST_PORT = 65535
_BACKLOG = 128
_FAMILIES = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


class Listening(Block):
    """Listening has the ports here that connections come into.

    forwards: what was asked for, with the ports that they got. sockets: of each. address: the
    first one that they listen on.
    """

    def __init__(
        self, wanted: Sequence[Forward], *, strict: bool = False, bind: str | None = None
    ) -> None:
        """Listen at once, so that no other program gets the ports meanwhile.

        strict: refuse a port that is taken; otherwise the next free one takes its place. bind: the
        address to listen on, instead of loopback.

        Raises:
            InvalidInput: a port is taken, or not ours; or the address is not of this machine.
        """
        require_forwards(wanted)
        self.sockets: dict[Forward, list[socket.socket]] = {}
        self.forwards: tuple[Forward, ...] = ()
        self._addresses = (require_address(bind),) if bind else LOOPBACK
        self.address = self._addresses[0]
        try:
            for each in wanted:
                self.add(each, strict=strict)
        except BaseException:
            self.close()
            raise

    def add(self, wanted: Forward, *, strict: bool = False) -> Forward:
        """Listen for one more; raises as the constructor."""
        forward = wanted if wanted.reverse else self._listen(wanted, strict)
        self.forwards += (forward,)
        return forward

    def _listen(self, wanted: Forward, strict: bool) -> Forward:
        last = wanted.local if strict else min(wanted.local + _MORE, _MOST_PORT)
        for port in range(wanted.local, last + 1):
            found = self._bound(port)
            if found:
                forward = replace(wanted, local=port)
                self.sockets[forward] = found
                return forward
        if strict:
            raise InvalidInput(f"port {wanted.local} is taken on this machine")
        raise InvalidInput(f"the ports from {wanted.local} to {last} are taken on this machine")

    def _bound(self, port: int) -> list[socket.socket]:
        """Sockets that listen on a port of each of our addresses; none if it is taken."""
        # On each of them: a browser that goes to localhost may take either, and would reach another
        # program on the one that is left out.
        made: list[socket.socket] = []
        try:
            for address in self._addresses:
                sock = _listener(address, port, optional=bool(made))
                if sock is not None:
                    made.append(sock)
        except BaseException as error:
            for sock in made:
                sock.close()
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                return []
            if isinstance(error, OSError):
                raise self._refusal(error, port) from None
            raise
        return made

    def _refusal(self, error: OSError, port: int) -> GenvxError:
        if error.errno in (errno.EACCES, errno.EPERM):
            other = f"choose one above 1023, such as {port + 8000}"
            return InvalidInput(f"only root may listen on port {port} here; {other}")
        if error.errno == errno.EADDRNOTAVAIL:
            return InvalidInput(f"{self.address} is not an address of this machine")
        short = exhausted(error)
        return GenvxError(short or f"cannot listen on port {port}: {os.strerror(error.errno or 0)}")

    def close(self) -> None:
        """Stop listening. Idempotent."""
        for sockets in self.sockets.values():
            for sock in sockets:
                sock.close()

    def _leave(self) -> None:
        self.close()


def _listener(address: str, port: int, *, optional: bool) -> socket.socket | None:
    """A socket that listens; None where the family is optional and not there.

    Raises:
        OSError: the port is taken, or it cannot be.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        if optional and error.errno in _FAMILIES:
            return None
        raise
    try:
        sock.setblocking(False)
        # Connections that have ended keep a port for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        # At once: with SO_REUSEADDR two may be bound, and the first that listens has the port.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        if optional and error.errno in _FAMILIES:
            return None
        raise
    return sock
