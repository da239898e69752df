"""Ending sockets and channels of SSH connections."""

from __future__ import annotations

import socket
from typing import Any


def shut(sock: Any) -> None:
    """Shut a socket down, which wakes a thread that waits on it; closing it would not."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected yet, or closed already


def close_channel(channel: Any) -> None:
    """Close a channel; a connection that has already ended is no error."""
    # close() sends a message; on a dead connection it raises, although there is nothing left to do.
    try:
        channel.close()
    except (EOFError, OSError):
        pass
