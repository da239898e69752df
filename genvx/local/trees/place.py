"""Place: a directory below which files are opened by names that come from elsewhere."""

from __future__ import annotations

import contextlib
import os

from genvx.core.text import printable
from genvx.errors import StateError

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""The flags with which a directory is opened, and never a link to one."""
# Directories that are kept open: names come in order, so the next is mostly in one of these.
_MOST_OPEN = 200


def absolute(directory: str) -> str:
    """The path of a directory, counted from where we are; ~ is a home.

    Raises:
        StateError: it is the home of nobody.
    """
    path = os.path.expanduser(directory)
    if path.startswith("~"):
        user = printable(path.partition("/")[0], 100)
        raise StateError(f"no user has the home {user}; ./{user} is a directory with this name")
    return os.path.abspath(path)


class Place:
    """A directory, and those below it.

    Each component of a name is opened below the one before, and none of them may be a symbolic
    link. So no file outside is reached, also if another process changes the directories meanwhile.

    descriptor: of the directory; the caller closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._root = descriptor
        self._open: dict[bytes, int] = {}

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def directory(self, name: bytes) -> int:
        """A descriptor of a directory below, valid until the next call. Raises OSError."""
        if not name:
            return self._root
        known = self._open.get(name)
        if known is not None:
            return known
        parts = name.split(b"/")
        depth = len(parts) - 1
        while depth and b"/".join(parts[:depth]) not in self._open:
            depth -= 1
        here = self._open[b"/".join(parts[:depth])] if depth else self._root
        for end in range(depth, len(parts)):
            here = os.open(parts[end], OPEN_DIRECTORY, dir_fd=here)
            self._open[b"/".join(parts[: end + 1])] = here
            if len(self._open) > _MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
        return here

    def split(self, name: bytes) -> tuple[int, bytes]:
        """The directory of a name (see `directory`), and the name's last component."""
        parent, _, last = name.rpartition(b"/")
        return self.directory(parent), last

    def open(self, name: bytes, flags: int, mode: int = 0o600) -> int:
        """Open a file below, never a link. Raises OSError."""
        parent, last = self.split(name)
        return os.open(
            last, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY, mode, dir_fd=parent
        )

    def make_directory(self, name: bytes) -> None:
        """Make a directory below that only its owner may enter. Raises OSError."""
        parent, last = self.split(name)
        os.mkdir(last, 0o700, dir_fd=parent)

    def make_link(self, name: bytes, target: bytes, mtime_ns: int) -> None:
        """Make a symbolic link below. Raises OSError."""
        parent, last = self.split(name)
        os.symlink(target, last, dir_fd=parent)
        with contextlib.suppress(OSError, NotImplementedError):  # the time of a link is for show
            os.utime(last, ns=(mtime_ns, mtime_ns), dir_fd=parent, follow_symlinks=False)
