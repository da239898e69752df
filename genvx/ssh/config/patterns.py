"""Which hosts does ssh_config treat alike? Their settings are asked of ssh only once.

Only `Host` lines are understood. Whatever else could depend on the name, the port or the user of a
host (Match, tokens, canonical names) makes each host different from all others.
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.ssh.config.wildcards import matches_any

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FILES = 64
_LINE = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)")
# With one of these keywords, settings may depend on the name in ways that are not read here.
_TELLING = {"match", "canonicalizehostname", "canonicaldomains", "canonicalizepermittedcnames"}
# ssh expands tokens in these before it prints them, so the printed value may contain the name of
# one host. Tokens in ProxyCommand are expanded here, for each host; other keywords are not used.
_EXPANDED = {
    "hostname",
    "hostkeyalias",
    "identityagent",
    "identityfile",
    "include",
    "globalknownhostsfile",
    "proxyjump",
    "user",
    "userknownhostsfile",
}


@dataclass(frozen=True)
class Patterns:
    """Patterns holds the `Host` lines of a configuration, each a list of patterns."""

    lines: tuple[tuple[str, ...], ...]

    def matching(self, address: str) -> tuple[bool, ...]:
        """Return which lines match; hosts with equal answers have equal settings."""
        # Versions of ssh differ in which of these they match against.
        names = (address, address.lower())
        return tuple(matches_any(line, name) for line in self.lines for name in names)


def patterns(config: str | None) -> Patterns | None:
    """Read the patterns of a configuration file, or of the usual ones.

    Return None if settings may depend on more than the patterns.
    """
    lines: list[tuple[str, ...]] = []
    files = files_of(config)
    if files is None:
        return None
    for key, value in (pair for text in files.values() for pair in _settings(text)):
        if key in _TELLING or ("%" in value and key in _EXPANDED):
            return None
        if key == "host":
            lines.append(tuple(value.replace('"', " ").split()))
    return Patterns(tuple(lines))


def files_of(config: str | None) -> dict[str, str] | None:
    """Read a configuration file, or the usual ones, with all that it may include, by path.

    Return None if one cannot be read, or they are too many.
    """
    usual = [*(f"{home}/.ssh/config" for home in _homes()), "/etc/ssh/ssh_config"]
    waiting = [os.path.expanduser(config)] if config else usual
    seen: set[str] = set()
    found: dict[str, str] = {}
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > _MOST_FILES:
            return None
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                found[path] = file.read()
        except FileNotFoundError:
            continue
        except OSError:
            return None  # ssh reports it
        for key, value in _settings(found[path]):
            if key == "include":
                waiting += _included(value)
    return found


def _settings(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is not None and not line.lstrip().startswith("#"):
            yield match[1].lower(), match[2]


def _included(value: str) -> list[str]:
    # Relative names start in ~/.ssh or, for the system's file, in /etc/ssh. Reading a file too many
    # is harmless: hosts are at most told apart needlessly, and ssh is asked once more.
    found = []
    for name in value.replace('"', " ").replace("\0", " ").split():
        for home in _homes():
            path = f"{home}{name[1:]}" if name.startswith("~/") else os.path.expanduser(name)
            for base in (f"{home}/.ssh", "/etc/ssh"):
                found += glob.glob(os.path.join(base, path))
    return found


def _homes() -> list[str]:
    """The home that ssh takes, whatever $HOME says; and that of $HOME, which paramiko takes."""
    homes = [os.path.expanduser("~")]
    with contextlib.suppress(KeyError):
        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    return list(dict.fromkeys(homes))
