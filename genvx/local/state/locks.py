"""The only door to fcntl: locks on open files, and the question whether a file is locked.

An open-file-description (OFD) lock belongs to the open file, not to the process. Children inherit
it, and the kernel drops it when the last descriptor is closed, also by SIGKILL or a power cut. A
write lock needs write permission on the file, so only its owner (and root) can make a lease look
alive.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_FLOCK = "hhqqi4x"  # struct flock of Linux with 64-bit offsets: type, whence, start, len, pid

# Shells use descriptors from 10 on for themselves, and scripts use the single digits. A lease's
# descriptor is above both: otherwise `exec 4>file` in somebody's rc file would close it and end the
# lease.
_LEAST_DESCRIPTOR = 100


def _ofd(descriptor: int, operation: int, kind: int) -> int:
    request = struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
    answer: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, operation, request))[0]
    return answer


def hold(descriptor: int) -> bool:
    """Take the write lock of a file for as long as its descriptor lives; False if somebody has it.

    The file is also flocked: systemd-tmpfiles deletes old files, but skips flocked ones.
    """
    try:
        # Not lockf (F_SETLK): that lock belongs to the process, is not inherited by children, and
        # is dropped when the process closes any other descriptor of the file.
        _ofd(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # POSIX allows both for a lock that somebody else has.
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def is_held(descriptor: int) -> bool:
    """Whether a process holds the write lock.

    Asking changes nothing, and askers do not disturb each other.
    """
    # To try the lock instead would make the file look held for a moment to others who ask. A read
    # lock of somebody else does not count: anyone who can read the file could take it.
    return _ofd(descriptor, fcntl.F_OFD_GETLK, fcntl.F_RDLCK) == fcntl.F_WRLCK


def move_up(descriptor: int) -> int:
    """Move a descriptor to 100 or above, still closed on exec; return its new number."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: the limit of open files is below our number
            raise
        return descriptor
    os.close(descriptor)
    return moved
