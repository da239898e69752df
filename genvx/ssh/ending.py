"""Ending sockets and channels of SSH connections; and leaving them alone, in a forked child."""

from __future__ import annotations

import os
import socket
import weakref
from typing import Any, Protocol


class Shared(Protocol):
    """What a forked child shares with us, such as a connection."""

    def leave(self) -> None:
        """Have nothing to do with it any more, in the child."""


_shared: weakref.WeakSet[Shared] = weakref.WeakSet()


def leave_in_children(sock: Shared) -> None:
    """Have children that are forked leave a connection, which stays ours.

    Otherwise the end of a child, at which paramiko closes connections, would end ours; and the
    child would wait for threads that it does not have.
    """
    _shared.add(sock)


def _leave() -> None:
    for sock in tuple(_shared):
        sock.leave()


os.register_at_fork(after_in_child=_leave)


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
