"""The user's ssh-agent."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import paramiko
from paramiko.agent import AgentKey, AgentSSH

from genvx.ssh.ending import shut

if TYPE_CHECKING:
    from genvx.ssh.deadline import Deadline


class Agent(AgentSSH):
    """The user's ssh-agent, on a connection of its own that a deadline can end.

    paramiko's own Agent has no timeout: an agent that does not answer would block the login.
    """

    def __init__(self, path: str, deadline: Deadline) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            deadline.closes(lambda: shut(sock))
            sock.settimeout(deadline.left())
            sock.connect(path)
            self._connect(sock)  # type: ignore[attr-defined]
        except BaseException:
            sock.close()
            raise

    def keys(self) -> list[DeniableKey]:
        """Return the keys that it offers."""
        return [DeniableKey(key.agent, key.blob, key.comment) for key in self.get_keys()]

    def close(self) -> None:
        """Close the connection to it."""
        self._close()  # type: ignore[attr-defined]


class DeniableKey(AgentKey):
    """A key of the agent whose use the user may deny (ssh-add -c)."""

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:
        """Have the agent sign; the signature is empty if the user denies it."""
        try:
            return super().sign_ssh_data(data, algorithm)
        except paramiko.SSHException:
            # In paramiko's transport thread an exception would end the connection. An empty
            # signature makes the server refuse this key only.
            return b""
