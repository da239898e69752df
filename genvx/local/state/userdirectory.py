"""One user's directory of the state, and what is taken from it: bounded, whoever fills it."""

from __future__ import annotations

import errno
import os
import stat
from typing import Optional

from genvx.core.value import value
from genvx.local.state import mounts

# What whoever owns a file can bring about when somebody else opens it: then it is nobody's lease.
# Anything else is trouble of our own (no descriptors left, a disk that fails), and to go on without
# having looked would be to grant what somebody holds.
OWNERS_DOING = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        *(errno.ENXIO, errno.ENODEV, errno.EAGAIN, errno.EXDEV),
    )
)

# genvx itself makes at most this many files of a kind for a user. Readers look at more: those who
# start at once do not see each other before they add to it.
MOST_OF_A_KIND = 256
_MOST_NAMES = 4 * MOST_OF_A_KIND

_SEEN_BY_ALL = stat.S_IROTH | stat.S_IXOTH


@value
class UserDirectory:
    """One user's directory, open.

    `descriptor` is valid only inside the loop or block that gave it. mount: the one that the
    directory is on; None if that is not known.
    """

    uid: int
    descriptor: int
    name: str
    mount: Optional[int] = None

    def names(
        self, suffixes: tuple[str, ...], entries: int = 16 * MOST_OF_A_KIND
    ) -> tuple[list[str], bool]:
        """The files that end so, and whether these are all: a flood costs everybody a bounded time,
        and hides nothing but what is the flooder's own.

        entries: files of any name that are looked at.

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
        """Open one of its files for reading, without waiting for whatever it is.

        Raises:
            OSError: it cannot be opened, or something is mounted on it.
        """
        return mounts.open_file(name, self.descriptor, self.mount)


@value
class Found:
    """What a look at a name has found.

    descriptor: the directory, open, if it counts. owner: None if that is not known. flaw: why it
    does not count, where somebody has brought that about.
    """

    descriptor: Optional[int] = None
    owner: Optional[int] = None
    flaw: str = ""


def look(name: str, uid: int, parent: int, mount: Optional[int], *, private: bool = False) -> Found:
    """Look at a name that a user may have, and open the directory if it counts.

    parent: the directory that it is in, open; mount: the one that is on. private: it counts also
    while others cannot look into it.

    Raises:
        OSError: it could not be looked at, for which its owner is not to blame.
    """
    try:
        door = mounts.door(name, parent, mount)
    except OSError as error:
        if error.errno not in OWNERS_DOING:
            raise
        # Only what is mounted there could say whose it is, and that is not asked.
        return Found(flaw=str(error.strerror) if error.errno == errno.EXDEV else "")
    owner: Optional[int] = None
    try:
        status = os.fstat(door)
        owner = status.st_uid
        flaw = _flaw(status, private) if owner == uid else ""
        if owner != uid or flaw:
            return Found(owner=owner, flaw=flaw)
        return Found(os.open(".", mounts.OPEN_DIRECTORY, dir_fd=door), owner)
    except OSError as error:
        if error.errno not in OWNERS_DOING:
            raise
        return Found(owner=owner)
    finally:
        os.close(door)


def _flaw(status: os.stat_result, private: bool) -> str:
    """Why a user's own directory does not count."""
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others may write it"
    # What some see and others do not would be granted again by those.
    if not private and status.st_mode & _SEEN_BY_ALL != _SEEN_BY_ALL:
        return "others cannot look into it"
    return ""


def open_to_all(descriptor: int) -> int:
    """Have others be able to look into one's own directory, before anything is published there.

    Whatever the umask was, and also where another process of ours has just made the directory, or
    has died before it came to this: a lease that others cannot see would be granted again.
    """
    try:
        if os.fstat(descriptor).st_mode & 0o777 != 0o755:
            os.fchmod(descriptor, 0o755)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
