"""The socket through which the terminal of a run is viewed: making, finding and removing it.

The socket is beside the file of the run's supervisor, in the user's own directory of the state,
with mode 0600. Its path goes through /proc/self/fd, because the path of a socket has 107 bytes at
most.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.local.state.runkind import VIEW_SUFFIX

if TYPE_CHECKING:
    from genvx.local.state.directory import StateDirectory

_CREDENTIALS = struct.Struct("3i")
_WAITING = 16


def listen(state: StateDirectory, run: str) -> socket.socket:
    """Make the socket of a run that we supervise, instead of one that was left behind.

    Raises:
        OSError, StateError: it cannot be made.
    """
    listener = _socket()
    try:
        # The file that bind makes gets this mode, so there is no moment with another one.
        os.fchmod(listener.fileno(), 0o600)
        with state.own() as directory:
            remove_in(directory, run)
            listener.bind(_path(directory, run))
        listener.listen(_WAITING)
    except BaseException:
        listener.close()
        raise
    return listener


def remove(state: StateDirectory, run: str) -> None:
    """Remove the socket of a run that we supervise, if it is there."""
    with suppress(OSError), state.own() as directory:
        remove_in(directory, run)


def remove_in(directory: int, run: str) -> None:
    """Remove the socket of a run from a user's directory, if it is there. Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(run + VIEW_SUFFIX, dir_fd=directory)


def connect(state: StateDirectory, run: str) -> Optional[socket.socket]:
    """Connect to the terminal of a run of our own; None if nobody listens there, or too many
    connections wait to be accepted.
    """
    for user in state.users():
        if user.uid != state.uid:
            continue
        connected = _socket()
        try:
            # Where the backlog is full, because the supervisor is stopped, connect would block.
            connected.setblocking(False)
            connected.connect(_path(user.descriptor, run))
            connected.setblocking(True)
            if peer_of(connected) == state.uid:
                return connected
        except OSError:
            pass
        connected.close()
    return None


def peer_of(connected: socket.socket) -> int:
    """The uid of the process that has connected or listens, from the kernel. Raises OSError."""
    size = _CREDENTIALS.size
    _, uid, _ = _CREDENTIALS.unpack(
        connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    return int(uid)


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def _path(directory: int, run: str) -> str:
    return f"/proc/self/fd/{directory}/{run}{VIEW_SUFFIX}"
