"""The server to connect to, as a person or a hostfile describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import HostError

if TYPE_CHECKING:
    from genvx.ssh.config.secret import Secret

# As ssh -G writes a hop of ProxyJump: "[user@]host[:port]", where brackets may be around any host.
_HOP = re.compile(r"(?:ssh://)?(?:([^@]+)@)?(?:\[([^\[\]@]+)\]|([^\[\]@:]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Target:
    """Target says how to reach one server; what it leaves open, ssh_config decides.

    name: the name in messages. address: the name for ssh, which may be an alias of ssh_config. key:
    the file of a private key. ssh_config: a file in place of the usual ones. password_env,
    password_command: the variable or the command that holds the password or, with a key, the
    passphrase of the key; password: that itself. connect_timeout: seconds until the server has
    proved that it speaks SSH. proxy_jump, proxy_command: the way to the server; one of them at
    most. host_key_alias: the name of its key in known_hosts, where that is not its address.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    key: str | None = None
    ssh_config: str | None = None
    password_env: str | None = None
    password_command: str | None = None
    password: Secret | None = None
    connect_timeout: int | None = None
    proxy_jump: str | None = None
    proxy_command: str | None = None
    host_key_alias: str | None = None

    @classmethod
    def hop(cls, text: str, ssh_config: str | None) -> Target:
        """Parse a jump host, as in "a", "raz@b:2222" or "[2001:db8::7]:22".

        Raises:
            HostError: the text has none of these forms.
        """
        match = _HOP.fullmatch(text)
        if match is None or (match[4] and not 0 < int(match[4]) < 65536):
            raise HostError(f"not a jump host: {printable(text, 80)!r}", kind="config")
        address = match[2] or match[3]
        port = None if match[4] is None else int(match[4])
        shown = f"[{address}]" if ":" in address and port is not None else address
        name = shown if port is None else f"{shown}:{port}"
        return cls(name, address, user=match[1], port=port, ssh_config=ssh_config)
