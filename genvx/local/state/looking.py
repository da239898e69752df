"""Examines a name that may be a user's directory."""

from __future__ import annotations

import errno
import os
import stat
from typing import Optional

from genvx.core.value import value
from genvx.local.state import mounts
from genvx.local.state.userdirectory import OWNERS_DOING

_SEEN_BY_ALL = stat.S_IROTH | stat.S_IXOTH


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
