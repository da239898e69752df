"""Connections that were made with the same files: ssh_config, known hosts, keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.keeping.files import Files
from genvx.ssh.config.options import SSHOptions
from genvx.ssh.credentials.secrets import Vault
from genvx.ssh.link import Link
from genvx.ssh.session import Session

if TYPE_CHECKING:
    from genvx.keeping.kept import Kept


class Room:
    """Room is what connections share that were made with the same files.

    Raises:
        Unkeepable: what the files say may change while they do not.
    """

    def __init__(self, config: str | None, host_lost_after: float) -> None:
        self.files = Files(config)
        options = SSHOptions(config=config, host_lost_after=host_lost_after)
        # Nobody is asked for secrets: a host that wants one is left to the command.
        self.session = Session(options, Link.open, Vault(None))
        self.hosts: dict[bytes, Kept] = {}

    def close(self) -> None:
        """Close the connections."""
        for kept in self.hosts.values():
            kept.close()
