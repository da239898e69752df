"""The files on which a connection depends: ssh_config, known hosts and keys.

A connection is used as long as all of them are what they were before it was opened.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any

from genvx.ssh.config.patterns import files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What a program or the network decides may be another thing at the next command. Files whose names
# are made of tokens or variables are not found here.
_FLEETING = re.compile(
    r"^\s*(?:match\b.*\b(?:exec|localnetwork)\b|include\b.*[%$])", re.IGNORECASE | re.MULTILINE
)


class Unkeepable(Exception):
    """Unkeepable: what ssh_config says may change while its files do not."""


class Files:
    """Files remembers what files were, and tells whether they still are."""

    def __init__(self, config: str | None) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[Callable[[Any], object], object], object] = {}
        self.add_config(config)

    def add_config(self, config: str | None) -> None:
        """Remember an ssh_config with all that it includes; None for the usual ones.

        Raises:
            Unkeepable: it may mean something else at any time.
        """
        self._add(_config, config)

    def add(self, paths: Iterable[str]) -> None:
        """Remember files, which may be missing."""
        for path in paths:
            self._add(_status, path)

    def _add(self, look: Callable[[Any], object], path: object) -> None:
        with self._lock:
            # The first look counts: it was before all that was read since.
            if (look, path) not in self._seen:
                self._seen[look, path] = look(path)

    @property
    def unchanged(self) -> bool:
        """Whether all files are what they were."""
        with self._lock:
            seen = list(self._seen.items())
        try:
            return all(look(path) == before for (look, path), before in seen)
        except Unkeepable:
            return False


def _status(path: str) -> object:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _config(config: str | None) -> object:
    # By what they say: they are small, and their times may be equal where they were changed twice.
    read = files_of(config)
    if read is None or any(map(_FLEETING.search, read.values())):
        raise Unkeepable
    return read
