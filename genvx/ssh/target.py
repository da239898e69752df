"""One server that is to be reached: what a person or a hostfile says of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from genvx.core.text import printable
from genvx.errors import HostError

# As ssh -G writes a hop of ProxyJump: "[user@]host[:port]", where brackets may be around any host.
_HOP = re.compile(r"(?:ssh://)?(?:([^@]+)@)?(?:\[([^\[\]@]+)\]|([^\[\]@:]+))(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class Target:
    """How to reach one server, below what ssh_config says.

    name: what messages call it. address: what ssh is told; an alias of ssh_config is one.
    key: a file. ssh_config: instead of the usual files. password_env, password_command: where the
    password is, or, with a key, the key's passphrase.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    key: str | None = None
    ssh_config: str | None = None
    password_env: str | None = None
    password_command: str | None = None

    @classmethod
    def hop(cls, text: str, ssh_config: str | None) -> Target:
        """A jump host: "a", "raz@b:2222", "[2001:db8::7]:22".

        Raises:
            HostError: it is none of these.
        """
        match = _HOP.fullmatch(text)
        if match is None or (match[4] and not 0 < int(match[4]) < 65536):
            raise HostError(f"not a jump host: {printable(text, 80)!r}", kind="config")
        address = match[2] or match[3]
        port = None if match[4] is None else int(match[4])
        shown = f"[{address}]" if ":" in address and port is not None else address
        name = shown if port is None else f"{shown}:{port}"
        return cls(name, address, user=match[1], port=port, ssh_config=ssh_config)
