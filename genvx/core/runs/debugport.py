"""The debug port of a run: an SSH server for this run only, with keys of its own."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from genvx.core.publickey import MOST_KEYS, parse_key
from genvx.core.text import is_printable, printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.publickey import PublicKey

LONGEST_ADDRESS = 256
EVERYWHERE = ("", "0.0.0.0", "::")
PRIVATE_KEY = "<private key>"
"""What stands for the path of a private key in a line, where we do not know it."""


@value
class DebugPort:
    """What was asked for. keys: lines as in .pub files. port: 0 is any that is free. bind: the
    address on which it listens; empty is all. address: where its submitter reaches the host, for
    people; empty where that is not known.

    Raises:
        InvalidInput: a field makes no sense.
    """

    keys: tuple[str, ...]
    port: int = 0
    bind: str = ""
    address: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.keys) <= MOST_KEYS:
            raise InvalidInput(f"a debug port has 1 to {MOST_KEYS} keys, not {len(self.keys)}")
        for line in self.keys:
            parse_key(line)
        if not 0 <= self.port <= 65535:
            raise InvalidInput(f"--debug-port is a port from 1 to 65535, not {self.port}")
        if self.bind not in EVERYWHERE:
            require_address(self.bind)
        if not is_printable(self.address, LONGEST_ADDRESS):
            raise InvalidInput("the address of the host cannot be printed")

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The keys that may log in."""
        return tuple(parse_key(line) for line in self.keys)


def require_address(text: str) -> str:
    """Return the text if it is an IP address; raise InvalidInput if it is none."""
    import ipaddress  # few runs need it

    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"--debug-bind is an IP address of the host, such as 127.0.0.1, not "
            f"{printable(text, 60)!r}"
        ) from None
    return text


@value
class OpenPort:
    """A debug port that is open.

    user: the login name. address: of the host, for people. host_key: the line of its .pub
    file.

    Raises:
        InvalidInput: a field makes no sense.
    """

    user: str
    address: str
    port: int
    host_key: str

    def __post_init__(self) -> None:
        parse_key(self.host_key)
        # `words` begins one with it, and ssh would read -oProxyCommand=... as an option: a host
        # would start a command where somebody pastes its line.
        if not self.user or self.user.startswith("-"):
            raise InvalidInput("the user of a debug port cannot be one")

    @property
    def server_key(self) -> PublicKey:
        """The key by which clients know the server."""
        return parse_key(self.host_key)

    def known_host(self, run: str) -> str:
        """The line of known_hosts by which ssh knows the server under `alias`."""
        return f"{alias(run)} {self.server_key.bare}"

    def words(self, run: str, key: str) -> list[str]:
        """The command line that leads into the run. key: the path of a private key.

        The name under which ssh remembers the server is that of the run: an address and a port that
        another run has later are not taken for those of this one.
        """
        # An agent with many keys would use up the attempts.
        settings = ["-o", "IdentitiesOnly=yes", "-o", f"HostKeyAlias={alias(run)}"]
        there = f"{self.user}@{self.address}"
        return ["ssh", "-i", key, *settings, "-p", str(self.port), there]

    def line(self, run: str, key: str = "") -> str:
        """As `words`, as a line for a shell; without a key with a placeholder for it."""
        words = self.words(run, key or PRIVATE_KEY)
        # Quoted, the placeholder would look like a path.
        return " ".join(each if each == PRIVATE_KEY else shlex.quote(each) for each in words)


def alias(run: str) -> str:
    """The name under which ssh remembers the host key of a run's debug port."""
    return f"genvx-run-{run}"  # as entries of ssh-config call it
