"""How a held file is made: complete, and locked before it has its name."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Optional

from genvx.errors import StateError
from genvx.local.state import locks
from genvx.local.state.kinds import MOST_BYTES

if TYPE_CHECKING:
    from genvx.local.state.kinds import Kind

# What is not published yet: made by ourselves, and opened by a shell that will hold it.
TEMPORARY = ".tmp"
OPENED = ".open"


def prepare(identifier: str, directory: int) -> str:
    """Make the empty file through which a shell will hold a lease; return its name.

    genvx makes it, because the shell would use its own umask: others could read the file, and who
    can read a file can lock it before we do.
    """
    name = f".{identifier}{OPENED}"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(name, flags, 0o600, dir_fd=directory))
    return name


def publish(
    identifier: str, kind: Kind, data: bytes, directory: int, through: Optional[int] = None
) -> tuple[int, int]:
    """Publish a file in a directory of one's own, complete and already locked.

    through: a descriptor of the prepared file, if a shell has opened it for us.

    Returns the locked descriptor, and one of the directory; both are the caller's to close.
    """
    kept = os.dup(directory)  # before there is a file that a failure would leave behind
    try:
        while True:
            descriptor = _publish(identifier, kind.suffix, data, directory, through)
            if descriptor is not None:
                return descriptor, kept
            if through is not None:
                raise StateError("the file for the lease was deleted meanwhile; try again")
    except BaseException:
        os.close(kept)
        raise


def _publish(
    identifier: str, suffix: str, data: bytes, directory: int, through: Optional[int]
) -> Optional[int]:
    """The locked descriptor; None if a reaper took the file for dead before it was locked."""
    if len(data) > MOST_BYTES:
        raise StateError(f"at most {MOST_BYTES} bytes; use a shorter name or fewer devices")
    temporary = f".{identifier}{TEMPORARY if through is None else OPENED}"
    if through is None:
        descriptor = os.open(
            temporary,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=directory,
        )
    else:
        descriptor = os.dup(through)
    try:
        descriptor = locks.move_up(descriptor)
        # Locked before it has its final name: a reader that finds the name must never see it
        # unlocked, or it would take the lease for dead and delete it.
        if not locks.hold(descriptor):
            raise OSError(errno.EAGAIN, "somebody else locked a file that was just created")
        # The descriptor comes from a shell. It must be the file that we prepared, still empty and
        # still there: else the rename below would publish another file than the one that is held.
        if through is not None and not _is_same(descriptor, temporary, directory):
            raise FileNotFoundError
        while data:
            data = data[os.write(descriptor, data) :]
        # Readable for all only now that it is locked: a process that can read a file can lock it.
        os.fchmod(descriptor, 0o644)
        # Atomic: others see the whole file or none. ENOENT means that a reaper took the temporary
        # file for dead between its creation and its lock; the caller starts again.
        os.rename(temporary, identifier + suffix, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    return descriptor


def _is_same(descriptor: int, name: str, directory: int) -> bool:
    """Whether an open file is the empty one of that name."""
    here = os.fstat(descriptor)
    there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return os.path.samestat(here, there) and stat.S_ISREG(here.st_mode) and here.st_size == 0
