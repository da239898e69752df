"""Parsing of hosts as people write them: names, addresses, users, ports, lists and ranges."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from genvx.core.text import printable
from genvx.errors import InvalidHostfile, InvalidInput
from genvx.fleet.hostspec import HostSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_HOSTS = 10_000
_LONGEST_NAME = 1024

# In a hostfile, "host:4" is MPI's number of processes, and "host:2222" a port. A number below this
# is a port only if it is 22; between 22 and this it could be either, so people must say.
_PRIVILEGED = 1024
_SSH = 22

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?", re.ASCII)
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+\\-]{0,127}", re.ASCII)
_RANGE = re.compile(r"\[([0-9,-]+)\]", re.ASCII)
_COMMA = re.compile(r",(?![^\[]*\])")


class Line:
    """Line is a line of a hostfile; its errors name file, line and column and show the text.

    number: counted from 1; 0 if the text comes from the command line.
    """

    def __init__(self, source: str, number: int, text: str) -> None:
        self.source = source
        self.number = number
        self.text = text

    def fail(self, column: int, message: str) -> NoReturn:
        """Raise InvalidHostfile for a fault at `column`, counted from 0."""
        place = f"{printable(self.source, 200)}:{self.number}:{column + 1}"
        if self.number == 0:
            raise InvalidHostfile(f"{printable(self.source, 60)}: {message}")
        raise InvalidHostfile(f"{place}: {message}: {printable(self.text.strip(), 120)}")


def parse_names(text: str) -> tuple[HostSpec, ...]:
    """Parse hosts as people type them after -H, such as "a,raz@b:2222,gpu[1-4]".

    Raises:
        InvalidHostfile: a name is invalid, or there is none.
    """
    line = Line("-H", 0, text)
    specs: dict[str, HostSpec] = {}
    for word in _COMMA.split(text):
        if not word.strip():
            continue
        for spec in parse_hosts(line, word.strip(), 0):
            if specs.setdefault(spec.name, spec) != spec:
                line.fail(0, f"{spec.name} is named twice, with two users")
    if not specs:
        raise InvalidHostfile("-H names no host")
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
        addresses = _expand(line, name, column)
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


def _expand(line: Line, name: str, column: int) -> list[str]:
    """Expand "gpu[03-05,9]" to gpu03, gpu04, gpu05, gpu9; leading zeros are kept."""
    if len(name) > _LONGEST_NAME:
        line.fail(column, f"a name has at most {_LONGEST_NAME} characters, ranges included")
    match = _RANGE.search(name)
    if match is None:
        return [name]
    made: list[str] = []
    for part in match[1].split(","):
        bounds = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if bounds is None:
            line.fail(column, f"not a range: {printable(match[0], 40)!r}")
        first, last = bounds[1], bounds[2] or bounds[1]
        # Checked before the numbers are made: [0-999999999] would take all memory.
        if int(last) < int(first) or int(last) - int(first) >= MOST_HOSTS:
            line.fail(column, f"not a range: {printable(match[0], 40)!r}")
        for number in range(int(first), int(last) + 1):
            made.append(str(number).zfill(len(first)))
        if len(made) > MOST_HOSTS:
            line.fail(column, f"more than {MOST_HOSTS} hosts")
    result: list[str] = []
    for number_text in made:
        result += _expand(line, name[: match.start()] + number_text + name[match.end() :], column)
        if len(result) > MOST_HOSTS:
            line.fail(column, f"more than {MOST_HOSTS} hosts")
    return result


def require_user(name: str) -> str:
    """Return `name` if it can be the name of a user; raise InvalidInput otherwise."""
    if not USER.fullmatch(name):
        raise InvalidInput(f"not a user name: {printable(name, 40)!r}")
    return name
