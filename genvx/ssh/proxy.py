"""A ProxyCommand as a socket."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING, Any

from genvx.ssh.config.tokens import expand
from genvx.ssh.ending import leave_in_children, shut
from genvx.ssh.readahead import PEACE

if TYPE_CHECKING:
    from genvx.ssh.config.settings import Settings


class Proxy:
    """Proxy runs a ProxyCommand as a socket: one end of a pair is its input and output.

    paramiko's ProxyCommand leaves its process and pipes behind, and another thread cannot wake it.
    """

    def __init__(self, settings: Settings) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # `exec`, as ssh does: `close` then ends the command itself, not only a shell.
                ["sh", "-c", f"exec {_command(settings)}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
            )
        self._left = False
        leave_in_children(self)

    def leave(self) -> None:
        """Leave the connection and the command to the process that we are forked from."""
        self._left = True
        self._socket.close()

    def settimeout(self, seconds: float | None) -> None:
        """Set the timeout of reads, as ReadAhead does; closing wakes a thread that reads."""
        self._socket.settimeout(None if seconds is None else max(seconds, PEACE))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def wake(self) -> None:
        """Wake a thread that waits on the socket."""
        shut(self._socket)

    def close(self) -> None:
        """Close the socket and end the command."""
        if self._left:
            return
        self.wake()
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _command(settings: Settings) -> str:
    return expand(settings.proxy_command or "", settings.tokens)
