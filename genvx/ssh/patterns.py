"""Which hosts ssh_config can tell apart: read just far enough to know that two are alike to it.

Only `Host` lines are understood. Whatever else could look at a host (Match, tokens, canonical
names) makes every host one of its own.
"""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass

from genvx.ssh.wildcards import matches_any

_USUAL = ("~/.ssh/config", "/etc/ssh/ssh_config")
_MOST_FILES = 64
_LINE = re.compile(r"\s*([A-Za-z]+)(?:\s*=\s*|\s+)(.*)")
# What is said of a host by these may hang on its name.
_TELLING = {"match", "canonicalizehostname", "canonicaldomains", "canonicalizepermittedcnames"}
# A token in one of these, which ssh expands before we see it, may be the name. (In ProxyCommand we
# expand it, and others are not read by us.)
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
    """The `Host` lines of a configuration, each a list of patterns."""

    lines: tuple[tuple[str, ...], ...]

    def matching(self, address: str) -> tuple[bool, ...]:
        """Which lines match: hosts with the same answer are alike."""
        names = (address, address.lower())  # ssh has matched either, by its version
        return tuple(matches_any(line, name) for line in self.lines for name in names)


def patterns(config: str | None) -> Patterns | None:
    """The patterns of a configuration file (or of the usual ones); None if more than patterns
    tells hosts apart.
    """
    lines: list[tuple[str, ...]] = []
    waiting = [os.path.expanduser(path) for path in ([config] if config else _USUAL)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > _MOST_FILES:
            return None
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        except OSError:
            return None  # ssh will say what it thinks of that
        for line in text.splitlines():
            match = _LINE.fullmatch(line)
            if match is None or line.lstrip().startswith("#"):
                continue
            key, value = match[1].lower(), match[2]
            if key in _TELLING or ("%" in value and key in _EXPANDED):
                return None
            if key == "host":
                lines.append(tuple(value.replace('"', " ").split()))
            elif key == "include":
                waiting += _included(value)
    return Patterns(tuple(lines))


def _included(value: str) -> list[str]:
    # Relative names start in one of these; a file too many does no harm here.
    found = []
    for name in value.replace('"', " ").replace("\0", " ").split():
        for base in (os.path.expanduser("~/.ssh"), "/etc/ssh"):
            found += glob.glob(os.path.join(base, os.path.expanduser(name)))
    return found
