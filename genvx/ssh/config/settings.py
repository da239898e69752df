"""Settings: how to reach one host, from ssh_config and the hostfile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """Settings say how to reach one host.

    identities: key files that exist. missing: key files that were named and do not exist.
    remembers: the file for new host keys. agent: the socket of the user's agent; empty if it is not
    used. trusts_localhost: whether this machine is trusted without its key. key_command: whether
    KnownHostsCommand is set. asks: whether ssh asks about an unknown host key. connect_timeout:
    seconds until the handshake is over. tokens: the values of %h and the like in ProxyCommand.
    overrides: options that undo settings which break a command in a terminal. alive: whether
    ssh_config sets how ssh notices a lost host.
    """

    hostname: str
    port: int
    user: str
    identities: tuple[str, ...]
    missing: tuple[str, ...]
    identities_only: bool
    agent: str
    known_hosts: tuple[str, ...]
    remembers: str | None
    host_key_alias: str | None
    proxy_jump: str | None
    proxy_command: str | None
    accept_new: bool
    connect_timeout: float | None
    family: str
    trusts_localhost: bool
    key_command: bool
    asks: bool
    tokens: Mapping[str, str]
    overrides: tuple[str, ...]
    alive: bool

    @property
    def key_name(self) -> str:
        """The name of the host's key in known_hosts; a port other than 22 is part of it."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"

    @property
    def other_key_name(self) -> str | None:
        """The name without its port, which ssh looks up where `key_name` is not known."""
        return None if self.host_key_alias or self.port == 22 else self.hostname.lower()
