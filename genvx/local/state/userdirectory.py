"""One user's directory of the state. Reading it has bounds, whatever its owner puts there."""

from __future__ import annotations

import errno
import os
import stat
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

_SEEN_BY_ALL = stat.S_IROTH | stat.S_IXOTH


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


@value
class Found:
    """The result of `look`.

    descriptor: the directory, open, if it counts. owner: None if unknown. flaw: why it does not
    count, if a user has caused that.
    """

    descriptor: Optional[int] = None
    owner: Optional[int] = None
    flaw: str = ""


def look(name: str, uid: int, parent: int, mount: Optional[int], *, private: bool = False) -> Found:
    """Examine a name that may be a user's directory, and open the directory if it counts.

    parent: the open directory that contains it; mount: the parent's mount. private: whether it also
    counts while others cannot read it.

    Raises:
        OSError: it could not be examined, for a reason that its owner has not caused.
    """
    try:
        door = mounts.door(name, parent, mount)
    except OSError as error:
        if error.errno not in OWNERS_DOING:
            raise
        # Only the mounted file system knows the owner, and it must not be asked.
        return Found(flaw=str(error.strerror) if error.errno == errno.EXDEV else "")
    owner: Optional[int] = None
    try:
        status = os.fstat(door)
        owner = status.st_uid
        flaw = _flaw(status, private) if owner == uid else ""
        if owner != uid or flaw:
            return Found(owner=owner, flaw=flaw)
        # "." of the checked directory: its name may be another directory by now.
        return Found(os.open(".", mounts.OPEN_DIRECTORY, dir_fd=door), owner)
    except OSError as error:
        if error.errno not in OWNERS_DOING:
            raise
        return Found(owner=owner)
    finally:
        os.close(door)


def _flaw(status: os.stat_result, private: bool) -> str:
    """Why a user's own directory does not count; empty if it does."""
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write it"
    # If only some users can read it, the others would grant its devices again.
    if not private and status.st_mode & _SEEN_BY_ALL != _SEEN_BY_ALL:
        return "others cannot look into it"
    return ""


def open_to_all(descriptor: int) -> int:
    """Let others read one's own directory, before anything is published there.

    The umask may have forbidden it, and another process of ours may have made the directory just
    now or died before this step. A lease that others cannot see would be granted again.
    """
    try:
        if os.fstat(descriptor).st_mode & 0o777 != 0o755:
            os.fchmod(descriptor, 0o755)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
