"""Parsing of hosts as people write them: names, addresses, users, ports, lists and ranges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidHostfile, InvalidInput
from genvx.fleet.hosts.hostline import Line
from genvx.fleet.hosts.hostranges import expand
from genvx.fleet.hosts.hostspec import HostSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

# In a hostfile, "host:4" is MPI's number of processes, and "host:2222" a port. A number below this
# is a port only if it is 22; between 22 and this it could be either, so people must say.
_PRIVILEGED = 1024
_SSH = 22

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?", re.ASCII)
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+\\-]{0,127}", re.ASCII)
_COMMA = re.compile(r",(?![^\[]*\])")


def parse_names(text: str, named: str = "-H") -> tuple[HostSpec, ...]:
    """Parse hosts as people type them after -H, such as "a,raz@b:2222,gpu[1-4]". named: where they
    were typed, for messages.

    Raises:
        InvalidHostfile: a name is invalid, or there is none.
    """
    line = Line(named, 0, text)
    specs: dict[str, HostSpec] = {}
    for word in _COMMA.split(text):
        if not word.strip():
            continue
        for spec in parse_hosts(line, word.strip(), 0):
            if specs.setdefault(spec.name, spec) != spec:
                line.fail(0, f"{spec.name} is named twice, with two users")
    if not specs:
        raise InvalidHostfile(f"{printable(named, 60)} names no host")
    return tuple(specs.values())


def parse_hosts(line: Line, word: str, column: int, *, counts: bool = False) -> Iterator[HostSpec]:
    """Parse the word for hosts on a line: "a", "raz@b:2222", "gpu[1-4],big", "[2001:db8::7]:22".

    counts: take a small number after a host as MPI's number of processes, not as a port.

    Raises:
        InvalidHostfile: the word has none of these forms.
    """
    for part in _COMMA.split(word):
        yield from _parse_host(line, part, column, counts)


def _parse_host(line: Line, word: str, column: int, counts: bool) -> Iterator[HostSpec]:
    if word.startswith("^"):
        line.fail(column, "^ excludes a host in MPI; remove the line instead")
    user: str | None = None
    rest = word
    if "@" in word:
        user, _, rest = word.rpartition("@")
        if not USER.fullmatch(user):
            line.fail(column, f"not a user name: {printable(user, 40)!r}")
    bracket = re.fullmatch(r"\[([^\]]*:[^\]]*)\](?::([0-9]+))?", rest)
    if bracket:
        address, port_text = bracket[1], bracket[2]
        if not _IPV6.fullmatch(address):
            line.fail(column, f"not an IPv6 address: {printable(address, 60)!r}")
        addresses = [address]
    elif rest.count(":") > 1 and _IPV6.fullmatch(rest):
        addresses, port_text = [rest], None
    else:
        name, colon, port_text = rest.partition(":")
        if not colon:
            port_text = None
        addresses = expand(line, name, column)
        for address in addresses:
            if not _NAME.fullmatch(address):
                line.fail(column, f"not a host name: {printable(address, 60)!r}")
    port = None if port_text is None else parse_port(line, port_text, column)
    slots = None
    if counts and user is None and bracket is None and port is not None and port < _PRIVILEGED:
        if port > _SSH:
            line.fail(column, f"write port={port}, or slots={port} if it is a number of processes")
        if port < _SSH:
            port, slots = None, port
    for address in addresses:
        shown = f"[{address}]" if ":" in address and port is not None else address
        yield HostSpec(
            name=shown if port is None else f"{shown}:{port}",
            address=address,
            user=user,
            port=port,
            slots=slots,
        )


def parse_port(line: Line, text: str, column: int) -> int:
    """Parse a port, from 1 to 65535; raise InvalidHostfile if it is none."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        line.fail(column, f"a port is from 1 to 65535, not {printable(text, 20)!r}")
    return int(text)


def require_user(name: str) -> str:
    """Return `name` if it can be the name of a user; raise InvalidInput otherwise."""
    if not USER.fullmatch(name):
        raise InvalidInput(f"not a user name: {printable(name, 40)!r}")
    return name
