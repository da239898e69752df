"""Ports for servers to come, which nobody else gets meanwhile."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def reserved() -> Iterator[int]:
    """A port of the loopback interface that the system gives to nobody else in the block.

    A server that sets SO_REUSEADDR, as sshd does, can listen there in the meantime: this socket is
    bound, but does not listen.
    """
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        yield port
