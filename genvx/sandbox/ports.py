"""Reserving ports for servers that are yet to start."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """Reserve a port of the loopback interface; the system gives it to nobody else in the block.

    A server that sets SO_REUSEADDR, as sshd does, can listen on it meanwhile: our socket is bound,
    but does not listen.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port
