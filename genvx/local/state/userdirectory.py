"""One user's directory of the state. Reading it has bounds, whatever its owner puts there."""

from __future__ import annotations

import errno
import os
from typing import Optional

from genvx.core.value import value
from genvx.local.state import mounts

# Errors that the owner of a file can cause when somebody else opens it. Such a file is no lease.
# Any other error is our own trouble (no descriptors left, a failing disk): to go on without having
# read the file would be to grant devices that somebody may hold.
OWNERS_DOING = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        *(errno.ENXIO, errno.ENODEV, errno.EAGAIN, errno.EXDEV),
    )
)

# genvx makes at most this many files of a kind for a user. Readers accept more, because processes
# that start at once do not see each other before they publish.
MOST_OF_A_KIND = 256
_MOST_NAMES = 4 * MOST_OF_A_KIND


@value
class UserDirectory:
    """One user's directory, open.

    `descriptor` is valid only inside the loop or block that gave it. mount: the mount that the
    directory is on; None if unknown.
    """

    uid: int
    descriptor: int
    name: str
    mount: Optional[int] = None

    def names(
        self, suffixes: tuple[str, ...], entries: int = 16 * MOST_OF_A_KIND
    ) -> tuple[list[str], bool]:
        """Return the files with one of the suffixes, and whether these are all.

        A flood of files costs everybody a bounded time, and hides only files of the user who made
        it.

        entries: how many files of any name are examined.

        Raises:
            OSError: the directory cannot be read.
        """
        found: list[str] = []
        with os.scandir(self.descriptor) as listed:
            for count, entry in enumerate(listed):
                if count >= entries or len(found) >= _MOST_NAMES:
                    return found, False
                if entry.name.endswith(suffixes):
                    found.append(entry.name)
        return found, True

    def open(self, name: str) -> int:
        """Open one of the user's files for reading, without blocking whatever it is.

        Raises:
            OSError: it cannot be opened, or something is mounted on it.
        """
        return mounts.open_file(name, self.descriptor, self.mount)
