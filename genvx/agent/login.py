"""What a login shell would make of this process now, as far as files tell.

An agent that runs a command later than it was started stands for one that would start then. That
one would get its variables from the start-up files as they are then, so these are compared.
"""

from __future__ import annotations

import os
import re
import time
from typing import Union

# Seconds after which an agent is not used any more: what start-up files ask other programs, such as
# modules of a cluster, no file tells.
_OLDEST = 600.0
_OF_USER = (
    *(".bashrc", ".bash_profile", ".bash_login", ".profile", ".zshenv", ".zshrc", ".zprofile"),
    *(".cshrc", ".tcshrc", ".login", ".config/fish/config.fish", ".pam_environment"),
    *(".ssh/environment", ".ssh/rc"),
)
# Users and groups, too: the shell, the home, the groups of the next login.
_OF_SYSTEM = (
    *("/etc/environment", "/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/etc/bashrc"),
    *("/etc/zshenv", "/etc/zsh/zshenv", "/etc/csh.cshrc", "/etc/fish/config.fish"),
    *("/etc/security/limits.conf", "/etc/security/limits.d", "/etc/passwd", "/etc/group"),
)
_SOURCED = re.compile(rb"(?:^|[;&|{])[ \t]*(?:\.|source)[ \t]+([^\s;&|]+)", re.MULTILINE)
_MOST = 64 * 1024


class Login:
    """Login remembers what start-up files are, and tells whether they still are."""

    def __init__(self) -> None:
        self._began = time.clock_gettime(time.CLOCK_BOOTTIME)
        home = os.path.expanduser("~")
        paths = [*(f"{home}/{name}" for name in _OF_USER), *_OF_SYSTEM]
        for path in tuple(paths):
            paths += _sourced(path, home)
        self._seen = {path: _status(path) for path in paths}

    @property
    def unchanged(self) -> bool:
        """Whether a process that is started now would be as this one."""
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - self._began
        return age < _OLDEST and all(_status(path) == seen for path, seen in self._seen.items())


def _sourced(path: str, home: str) -> list[str]:
    """The files that a start-up file reads, where it names them plainly."""
    found = []
    try:
        # A start-up file may be a FIFO; opening one that nobody writes would block.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        text = os.read(descriptor, _MOST)
    except OSError:
        return []
    finally:
        os.close(descriptor)
    for word in _SOURCED.findall(text):
        name = os.fsdecode(word.strip(b"'\""))
        for mark in ("~", "${HOME}", "$HOME"):
            if name.startswith(f"{mark}/"):
                name = home + name[len(mark) :]
        if name.startswith("/") and "$" not in name:
            found.append(name)
    return found


def _status(path: str) -> Union[tuple[int, ...], None]:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
