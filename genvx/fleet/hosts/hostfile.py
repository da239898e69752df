"""Hostfiles: `parse(text)` is pure, `load(path)` reads a file.

One host per line: [user@]name[:port] and options; the name may be an address or an alias of
ssh_config. Bracketed ranges and commas make many hosts of one line. Hostfiles of DeepSpeed, MPI and
Slurm can be used unchanged: a host that is listed again is the same host, and numbers of processes
limit nothing.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from genvx.core.device import VisibleAs
from genvx.core.leases import ownership
from genvx.core.text import printable
from genvx.errors import InvalidHostfile, UnknownHost
from genvx.fleet.hosts.hostline import Line
from genvx.fleet.hosts.hostnames import USER, parse_hosts, parse_port
from genvx.fleet.hosts.hostranges import MOST_HOSTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from genvx.fleet.hosts.hostspec import HostSpec

# The name of the hostfile that is found in the current directory.
IN_DIRECTORY = "hostfile"

_MOST_BYTES = 4 << 20

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", re.ASCII)
# The path goes into a command line that five kinds of shell read: no quotes, $ or backslashes.
PYTHON_PATH = re.compile(r"/[A-Za-z0-9._/+@~ -]{1,1000}", re.ASCII)
RUNS_PATH = re.compile(r"~?/[A-Za-z0-9._/+@~ -]{1,1000}", re.ASCII)
_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')

OPTIONS = (
    *("user", "port", "key", "password_env", "password_command", "ssh_config", "python"),
    *("gpus", "tags", "slots", "max_slots", "visible_as", "runs"),
)

# MPI's options: how many processes a host gets, on which of its parts they run and how they are
# reached. They are accepted and ignored, because genvx counts GPUs by itself.
NUMBERS = (
    *("slots", "max_slots", "slot", "slots_max", "count", "count_max", "cpu", "cpus", "max_cpus"),
    *("cpu_max", "cores", "sockets", "np", "ppn"),
)
IGNORED = (*NUMBERS[2:], "binding", "ifname")

# These options run commands on this machine. A hostfile that was merely found in the current
# directory, such as that of a cloned repository, must not be able to do so.
_COMMANDS = ("password_command", "ssh_config")
# Nor may it name any variable, such as the token of a cloud: the content is sent as a password.
PASSWORD_VARIABLE = re.compile(r"GENVX_PASSWORD[A-Z0-9_]{0,64}", re.ASCII)


def load(path: str, *, named: bool = True) -> tuple[HostSpec, ...]:
    """Read a hostfile; paths in it are relative to it.

    path: may begin with ~. named: whether the user named this file; otherwise it may run no
    commands here.

    Raises:
        InvalidHostfile: the file cannot be read, has a bad line or no host, or belongs to somebody
        else and the user did not name it.
    """
    try:
        # fstat of the open file: between a stat by name and the open, it could be exchanged.
        with open(os.path.expanduser(path), "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidHostfile(
            f"cannot read the hostfile {printable(path, 200)}: {error.strerror}"
        ) from None
    if len(data) > _MOST_BYTES:
        raise InvalidHostfile(f"the hostfile {printable(path, 200)} is larger than 4 MiB")
    try:
        # -sig: editors of Windows write a byte order mark, which would become part of a name.
        text = data.decode("utf-8-sig")
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
    base = os.path.dirname(os.path.abspath(os.path.expanduser(path)))
    return parse(text, source=path, base=base, runs_nothing=reason)


def parse(
    text: str, *, source: str = "hostfile", base: str = ".", runs_nothing: str = ""
) -> tuple[HostSpec, ...]:
    """Read the text of a hostfile.

    source: the name in errors. base: where relative paths start. runs_nothing: why this hostfile
    may not run commands here; empty if it may.

    Raises:
        InvalidHostfile: a line is bad, a host is listed twice with different options, or there are
        too many hosts or none.
    """
    found: dict[str, int] = {}
    specs: dict[str, HostSpec] = {}
    for number, content in enumerate(text.split("\n"), 1):
        line = Line(source, number, content)
        for spec in _parse_line(line, base, runs_nothing):
            earlier = specs.get(spec.name)
            if earlier is not None:
                if replace(earlier, slots=None) != replace(spec, slots=None):
                    line.fail(
                        0,
                        f"{spec.name} is listed already, on line {found[spec.name]}, with other "
                        "options",
                    )
                # MPI lists a host once for each process; those lines add up.
                spec = replace(spec, slots=(earlier.slots or 1) + (spec.slots or 1))
            elif len(specs) >= MOST_HOSTS:
                line.fail(0, f"more than {MOST_HOSTS} hosts")
            found.setdefault(spec.name, number)
            specs[spec.name] = spec
    if not specs:
        raise InvalidHostfile(f"{printable(source, 200)} names no host")
    return tuple(specs.values())


def find(
    environ: Mapping[str, str],
    candidates: Sequence[str] | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> str:
    """Return the hostfile to use when none is named: the first that exists.

    tell: called with a message about a hostfile in the current directory that is skipped because
    somebody else could have written it.

    Raises:
        UnknownHost: there is none; the message lists the places.
    """
    if chosen := environ.get("GENVX_HOSTFILE"):
        return os.path.expanduser(chosen)
    config = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    places = candidates or (IN_DIRECTORY, f"{config}/genvx/hostfile", "/etc/genvx/hostfile")
    for place in places:
        if os.path.isfile(place):
            why = None if os.path.isabs(place) else stranger(place)
            if why is None:
                return place
            tell(_not_used(place, why))
    raise UnknownHost(
        "which hosts? name them with -H a,b or --hostfile FILE; looked for $GENVX_HOSTFILE, "
        + ", ".join(f"./{place}" if "/" not in place else place for place in places)
    )


def stranger(path: str) -> str | None:
    """Return why a file that nobody named is not used unasked; None if it is used."""
    uid = os.geteuid()
    try:
        link = os.lstat(path)
        # Somebody else's link may lead to a file of ours, whose owner then says nothing.
        if link.st_uid not in (0, uid):
            return f"belongs to uid {link.st_uid}"
        directory = os.stat(os.path.dirname(path) or ".")
        return ownership.stranger(os.stat(path), uid) or ownership.strange_directory(directory, uid)
    except OSError as error:
        return f"cannot be checked: {error.strerror}"


def _not_used(path: str, why: str) -> str:
    shown = printable(path if "/" in path else f"./{path}", 200)
    return f"the hostfile {shown} is not used: it {why}; name it with --hostfile if you mean it"


def _parse_line(line: Line, base: str, runs_nothing: str) -> Iterator[HostSpec]:
    words = []
    for match in _WORD.finditer(line.text):
        if match[0].startswith("#"):
            break
        words.append((match.start(), match[0]))
    if not words:
        return
    if line.text.count('"') % 2:
        line.fail(line.text.index('"'), "a quote is not closed")
    (column, host), *options = _joined(words)
    values: dict[str, tuple[int, str]] = {}
    for at, word in options:
        key, equals, value = word.partition("=")
        key = key.replace("-", "_")
        if not equals:
            hint = f", as slots={word}" if word.isdigit() else ""
            line.fail(at, f"an option is written name=value{hint}, not {printable(word, 40)!r}")
        if key not in OPTIONS and key not in IGNORED:
            line.fail(at, _unknown_option(key))
        if key in values:
            line.fail(at, f"{key} is given twice")
        if key in _COMMANDS and runs_nothing:
            line.fail(at, f"{key} can run commands, which a hostfile {runs_nothing} may not")
        values[key] = (at, value.replace('"', ""))
    for spec in parse_hosts(line, host, column, counts=True):
        yield _with_options(spec, line, values, base)


def _joined(words: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the words of a line; an option with spaces, as in "slots = 4", is one word."""
    at = 0
    while at < len(words):
        column, word = words[at]
        at += 1
        if at > 1 and at < len(words) and "=" not in word and words[at][1].startswith("="):
            word += words[at][1]
            at += 1
        if at > 1 and at < len(words) and word.endswith("=") and "=" not in words[at][1]:
            word += words[at][1]
            at += 1
        yield column, word


def _unknown_option(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, OPTIONS, 1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(OPTIONS)}"
    return f"no option {printable(key, 40)!r}{hint}"


def _with_options(
    spec: HostSpec, line: Line, values: Mapping[str, tuple[int, str]], base: str
) -> HostSpec:
    def path(value: str) -> str:
        return os.path.join(base, os.path.expanduser(value))

    for key, (at, value) in values.items():
        if not value or not value.isprintable():
            line.fail(at, f"{key} needs a value of printable characters")
        if key == "user":
            if not USER.fullmatch(value):
                line.fail(at, f"not a user name: {printable(value, 40)!r}")
            spec = replace(spec, user=value)
        elif key == "port":
            spec = replace(spec, port=parse_port(line, value, at))
        elif key == "key":
            spec = replace(spec, key=path(value))
        elif key == "password_env":
            if not PASSWORD_VARIABLE.fullmatch(value):
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
        elif key == "runs":
            if not RUNS_PATH.fullmatch(value):
                line.fail(at, "runs is the absolute path of a directory on the host, or ~/path")
            spec = replace(spec, runs=value)
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
        elif key in NUMBERS:
            if not re.fullmatch(r"[0-9]{1,6}", value):
                line.fail(at, f"{key} is a whole number")
            if key == "slots":
                spec = replace(spec, slots=int(value))
    if spec.password_env and spec.password_command:
        line.fail(0, "give either password_env or password_command, not both")
    return spec


def _indices(line: Line, value: str, column: int) -> tuple[int, ...]:
    found: list[int] = []
    for part in value.split(","):
        bounds = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part)
        if bounds is None or int(bounds[2] or bounds[1]) < int(bounds[1]):
            line.fail(column, "gpus are indices such as 0,2,3 or 0-3")
        found += range(int(bounds[1]), int(bounds[2] or bounds[1]) + 1)
    return tuple(dict.fromkeys(found))
