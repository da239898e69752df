"""The only door to fcntl: locks that are held on open descriptors, and the question whether one is
held.

An open-file-description (OFD) lock belongs to the open file, not to the process: children inherit
it, and the kernel drops it when the last descriptor is gone, SIGKILL and power cut included. A
write lock needs write permission on the file, so nobody but its owner (and root) can make a lease
look alive.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_FLOCK = "hhqqi4x"  # struct flock of Linux with 64-bit offsets: type, whence, start, len, pid

# Shells move their own descriptors to 10 and above, and scripts use the single digits: a lease
# stays out of their way, or `exec 4>file` in somebody's rc file would end it.
_LEAST_DESCRIPTOR = 100


def _ofd(descriptor: int, operation: int, kind: int) -> int:
    request = struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)
    answer: int = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, operation, request))[0]
    return answer


def hold(descriptor: int) -> bool:
    """Take the write lock of a file for as long as its descriptor lives.

    False: somebody else has it.

    The flock beside it keeps systemd-tmpfiles from ageing the file away: it skips files that are
    flocked.
    """
    try:
        _ofd(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def is_held(descriptor: int) -> bool:
    """Whether somebody holds the write lock.

    Asking changes nothing, and askers never disturb each other.
    """
    return _ofd(descriptor, fcntl.F_OFD_GETLK, fcntl.F_RDLCK) == fcntl.F_WRLCK


def move_up(descriptor: int) -> int:
    """Move a descriptor out of the way of shells, still closed on exec; return its new number."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: the limit of open files is below our number
            raise
        return descriptor
    os.close(descriptor)
    return moved
