"""Hostfiles: `parse(text)` is pure, `load(path)` reads.

One host a line: a name, an address or an alias of ssh_config, with a user before and a port behind
it, and options after it. Bracketed ranges make many hosts of one line. Hostfiles of DeepSpeed and
MPI are read as they are.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from genvx.core import ownership
from genvx.core.device import VisibleAs
from genvx.core.text import printable
from genvx.errors import InvalidHostfile, InvalidInput, UnknownHost
from genvx.fleet.wildcards import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# What is found in the directory where we are, without being named.
IN_DIRECTORY = "hostfile"

_MOST_HOSTS = 10_000
_LONGEST_NAME = 1024
_MOST_BYTES = 4 << 20

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?", re.ASCII)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@+\\-]{0,127}", re.ASCII)
_RANGE = re.compile(r"\[([0-9,-]+)\]", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
# Goes into a command line that five kinds of shell read.
PYTHON_PATH = re.compile(r"/[A-Za-z0-9._/+@~ -]{1,1000}", re.ASCII)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')

OPTIONS = (
    *("user", "port", "key", "password_env", "password_command", "ssh_config", "python"),
    *("gpus", "tags", "slots", "max_slots", "visible_as"),
)

# These make our own machine run something. A hostfile that merely lay in the directory where we
# are, as in a repository that was cloned, must not.
_COMMANDS = ("password_command", "ssh_config")
# Nor may it have any variable sent to a host of its choice.
_VARIABLE = re.compile(r"GENVX_PASSWORD[A-Z0-9_]{0,64}", re.ASCII)


@dataclass(frozen=True)
class HostSpec:
    """One host of a hostfile: how to reach it, and which of its devices may be used.

    name: what tables show and results are keyed by; unique in a fleet.
    address: what ssh is told; an alias of ssh_config is one.
    gpus: the indices that may be used; None for all. password_env, password_command: where the
    password is, or, on a line with a key, the key's passphrase. tags, slots: kept for those who
    place by them. visible_as: how CUDA is told of devices there where nobody says.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    key: str | None = None
    python: str | None = None
    gpus: tuple[int, ...] | None = None
    tags: tuple[str, ...] = ()
    slots: int | None = None
    ssh_config: str | None = None
    password_env: str | None = None
    password_command: str | None = None
    visible_as: VisibleAs | None = None


@dataclass(frozen=True)
class Selection:
    """Some of the hosts of a hostfile.

    hosts: names or patterns, of which one must fit; excluded: of which none may; tags: all of them.
    """

    hosts: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hosts or self.excluded or self.tags)

    def of(self, specs: Sequence[HostSpec]) -> tuple[HostSpec, ...]:
        """The hosts that are meant.

        Raises:
            UnknownHost: there is none, or none for one of the names.
        """
        for pattern in self.hosts:
            if not any(_is_named(spec, pattern) for spec in specs):
                raise UnknownHost(f"no host {printable(pattern, 60)!r} among the hosts")
        found = tuple(
            spec
            for spec in specs
            if (not self.hosts or any(_is_named(spec, pattern) for pattern in self.hosts))
            and not any(_is_named(spec, pattern) for pattern in self.excluded)
            and set(self.tags) <= set(spec.tags)
        )
        if not found:
            tags = f" with {printable(', '.join(self.tags), 100)}" if self.tags else ""
            raise UnknownHost(f"none of the {len(specs)} hosts is left{tags}")
        return found


def _is_named(spec: HostSpec, pattern: str) -> bool:
    return matches(pattern, spec.name) or matches(pattern, spec.address)


class _Line:
    """Where we are, for errors that name file, line and column and show the line."""

    def __init__(self, source: str, number: int, text: str) -> None:
        self.source = source
        self.number = number
        self.text = text

    def fail(self, column: int, message: str) -> NoReturn:
        place = f"{printable(self.source, 200)}:{self.number}:{column + 1}"
        if self.number == 0:
            raise InvalidHostfile(f"{printable(self.source, 60)}: {message}")
        raise InvalidHostfile(f"{place}: {message}: {printable(self.text.strip(), 120)}")


def load(path: str, *, named: bool = True) -> tuple[HostSpec, ...]:
    """Read a hostfile. Paths in it are relative to it.

    named: whether the user has said that it is this one; else it may have nothing run here.

    Raises:
        InvalidHostfile: it cannot be read, has a bad line, has no host, or is a stranger's that
        nobody has named.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidHostfile(
            f"cannot read the hostfile {printable(path, 200)}: {error.strerror}"
        ) from None
    if len(data) > _MOST_BYTES:
        raise InvalidHostfile(f"the hostfile {printable(path, 200)} is larger than 4 MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidHostfile(
            f"the hostfile {printable(path, 200)} is not UTF-8 text (byte {error.start})"
        ) from None
    why = None if named else ownership.stranger(status, os.geteuid())
    if why is not None:
        raise InvalidHostfile(_not_used(path, why))
    reason = "" if named else "that was not named with --hostfile"
    if status.st_uid not in (0, os.geteuid()):
        reason = "of another user"
    elif status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != os.getegid()):
        reason = "that others can write"
    base = os.path.dirname(os.path.abspath(path))
    return parse(text, source=path, base=base, runs_nothing=reason)


def parse(
    text: str, *, source: str = "hostfile", base: str = ".", runs_nothing: str = ""
) -> tuple[HostSpec, ...]:
    """Read the text of a hostfile; `source` names it in errors, `base` is where relative paths
    start.

    runs_nothing: why this one may not have us run commands; empty if it may.

    Raises:
        InvalidHostfile: a bad line, a host named twice, too many hosts, or none.
    """
    found: dict[str, int] = {}
    specs: list[HostSpec] = []
    for number, content in enumerate(text.split("\n"), 1):
        line = _Line(source, number, content)
        for spec in _parse_line(line, base, runs_nothing):
            if spec.name in found:
                line.fail(0, f"{spec.name} is listed already, on line {found[spec.name]}")
            if len(specs) >= _MOST_HOSTS:
                line.fail(0, f"more than {_MOST_HOSTS} hosts")
            found[spec.name] = number
            specs.append(spec)
    if not specs:
        raise InvalidHostfile(f"{printable(source, 200)} names no host")
    return tuple(specs)


def parse_names(text: str) -> tuple[HostSpec, ...]:
    """Read hosts as people type them after -H: "a,raz@b:2222,gpu[1-4]".

    Raises:
        InvalidHostfile: one of them is none, is named twice, or there is none.
    """
    line = _Line("-H", 0, text)
    specs: dict[str, HostSpec] = {}
    for word in filter(str.strip, re.split(r",(?![^\[]*\])", text)):
        for spec in _parse_host(line, word.strip(), 0):
            if spec.name in specs:
                line.fail(0, f"{spec.name} is named twice")
            specs[spec.name] = spec
    if not specs:
        raise InvalidHostfile("-H names no host")
    return tuple(specs.values())


def find(
    environ: Mapping[str, str],
    candidates: Sequence[str] | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> str:
    """Return the hostfile that is used when none is named: the first that exists.

    tell: gets a line about one in the directory where we are that somebody else could have written:
    it is passed over.

    Raises:
        UnknownHost: there is none; the message lists where it was looked for.
    """
    if chosen := environ.get("GENVX_HOSTFILE"):
        return os.path.expanduser(chosen)
    config = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    places = candidates or (IN_DIRECTORY, f"{config}/genvx/hostfile", "/etc/genvx/hostfile")
    for place in places:
        if os.path.isfile(place):
            why = None if os.path.isabs(place) else _stranger(place)
            if why is None:
                return place
            tell(_not_used(place, why))
    raise UnknownHost(
        "which hosts? name them with -H a,b or --hostfile FILE; looked for $GENVX_HOSTFILE, "
        + ", ".join(f"./{place}" if "/" not in place else place for place in places)
    )


def _stranger(path: str) -> str | None:
    """Why a hostfile that lies where we are is not to be followed unasked."""
    uid = os.geteuid()
    try:
        link = os.lstat(path)
        if link.st_uid not in (0, uid):  # it may lead to a file of ours
            return f"belongs to uid {link.st_uid}"
        directory = os.stat(os.path.dirname(path) or ".")
        return ownership.stranger(os.stat(path), uid) or ownership.strange_directory(directory, uid)
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"


def _not_used(path: str, why: str) -> str:
    shown = printable(path if "/" in path else f"./{path}", 200)
    return f"the hostfile {shown} is not used: it {why}; name it with --hostfile if you mean it"


def _parse_line(line: _Line, base: str, runs_nothing: str) -> Iterator[HostSpec]:
    words = []
    for match in _WORD.finditer(line.text):
        if match[0].startswith("#"):
            break
        words.append((match.start(), match[0]))
    if not words:
        return
    if line.text.count('"') % 2:
        line.fail(line.text.index('"'), "a quote is not closed")
    (column, host), *options = words
    values: dict[str, tuple[int, str]] = {}
    for at, word in options:
        key, equals, value = word.partition("=")
        key = key.replace("-", "_")
        if not equals:
            line.fail(at, f"an option is written name=value, not {printable(word, 40)!r}")
        if key not in OPTIONS:
            line.fail(at, _unknown_option(key))
        if key in values:
            line.fail(at, f"{key} is given twice")
        if key in _COMMANDS and runs_nothing:
            line.fail(at, f"{key} can run commands, which a hostfile {runs_nothing} may not")
        values[key] = (at, value.replace('"', ""))
    for spec in _parse_host(line, host, column):
        yield _with_options(spec, line, values, base)


def _unknown_option(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, OPTIONS, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(OPTIONS)}"
    return f"no option {printable(key, 40)!r}{hint}"


def _parse_host(line: _Line, word: str, column: int) -> Iterator[HostSpec]:
    user: str | None = None
    rest = word
    if "@" in word:
        user, _, rest = word.rpartition("@")
        if not _USER.fullmatch(user):
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
        name, colon, after = rest.partition(":")
        port_text = after if colon else None
        addresses = _expand(line, name, column)
        for address in addresses:
            if not _NAME.fullmatch(address):
                line.fail(column, f"not a host name: {printable(address, 60)!r}")
    port = None if port_text is None else _port(line, port_text, column)
    for address in addresses:
        shown = f"[{address}]" if ":" in address and port is not None else address
        yield HostSpec(
            name=shown if port is None else f"{shown}:{port}",
            address=address,
            user=user,
            port=port,
        )


def _port(line: _Line, text: str, column: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        line.fail(column, f"a port is from 1 to 65535, not {printable(text, 20)!r}")
    return int(text)


def _expand(line: _Line, name: str, column: int) -> list[str]:
    """Make "gpu[03-05,9]" into gpu03, gpu04, gpu05, gpu9; leading zeros are kept."""
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
        if int(last) < int(first) or int(last) - int(first) >= _MOST_HOSTS:
            line.fail(column, f"not a range: {printable(match[0], 40)!r}")
        made += [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
        if len(made) > _MOST_HOSTS:
            line.fail(column, f"more than {_MOST_HOSTS} hosts")
    result: list[str] = []
    for number_text in made:
        result += _expand(line, name[: match.start()] + number_text + name[match.end() :], column)
        if len(result) > _MOST_HOSTS:
            line.fail(column, f"more than {_MOST_HOSTS} hosts")
    return result


def _with_options(
    spec: HostSpec, line: _Line, values: Mapping[str, tuple[int, str]], base: str
) -> HostSpec:
    def path(value: str) -> str:
        return os.path.join(base, os.path.expanduser(value))

    for key, (at, value) in values.items():
        if not value or not value.isprintable():
            line.fail(at, f"{key} has no usable value")
        if key == "user":
            if not _USER.fullmatch(value):
                line.fail(at, f"not a user name: {printable(value, 40)!r}")
            spec = replace(spec, user=value)
        elif key == "port":
            spec = replace(spec, port=_port(line, value, at))
        elif key == "key":
            spec = replace(spec, key=path(value))
        elif key == "password_env":
            if not _VARIABLE.fullmatch(value):
                line.fail(at, "password_env is a variable whose name begins with GENVX_PASSWORD")
            spec = replace(spec, password_env=value)
        elif key == "password_command":
            try:
                shlex.split(value)
            except ValueError:
                line.fail(at, "password_command has a quote that is not closed")
            spec = replace(spec, password_command=value)
        elif key == "ssh_config":
            spec = replace(spec, ssh_config=path(value))
        elif key == "python":
            if not PYTHON_PATH.fullmatch(value):
                line.fail(at, "python is the absolute path of an interpreter on the host")
            spec = replace(spec, python=value)
        elif key == "gpus":
            spec = replace(spec, gpus=_indices(line, value, at))
        elif key == "visible_as":
            if value not in ("uuid", "index"):
                line.fail(at, "visible_as is uuid or index")
            spec = replace(spec, visible_as=VisibleAs(value))
        elif key == "tags":
            tags = tuple(value.split(","))
            if not all(_TAG.fullmatch(tag) for tag in tags):
                line.fail(at, "tags are words of letters and digits, separated by commas")
            spec = replace(spec, tags=tags)
        else:
            if not re.fullmatch(r"[0-9]{1,6}", value):
                line.fail(at, f"{key} is a whole number")
            if key == "slots":
                spec = replace(spec, slots=int(value))
    if spec.password_env and spec.password_command:
        line.fail(0, "give either password_env or password_command, not both")
    return spec


def _indices(line: _Line, value: str, column: int) -> tuple[int, ...]:
    found: list[int] = []
    for part in value.split(","):
        bounds = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if bounds is None or int(bounds[2] or bounds[1]) < int(bounds[1]):
            line.fail(column, "gpus are indices such as 0,2,3 or 0-3")
        found += range(int(bounds[1]), int(bounds[2] or bounds[1]) + 1)
    return tuple(dict.fromkeys(found))


def require_user(name: str) -> str:
    """Return `name` if it can be a user's; raise InvalidInput otherwise."""
    if not _USER.fullmatch(name):
        raise InvalidInput(f"not a user name: {printable(name, 40)!r}")
    return name
