"""The file of a lease as somebody holds it: whether it is held, who has it open, and signals for
those.

A pid and an inode are used again, an inode of ext4 at once; the path of a lease never is. A signal
goes to a process that has this path open for writing, while the lease is held, and to nobody else.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.local import processes
from genvx.local.holders import opened
from genvx.local.state import locks

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator


@value
class LeaseFile:
    """A lease's file, by its path and by its inode, which have to agree."""

    path: str
    inode: tuple[int, int]

    @classmethod
    def of(cls, descriptor: int) -> LeaseFile:
        """The file behind a descriptor. Raises OSError where /proc does not tell its path."""
        status = os.fstat(descriptor)
        return cls(os.readlink(f"/proc/self/fd/{descriptor}"), (status.st_dev, status.st_ino))

    def is_held(self) -> bool:
        """Whether somebody holds the lease, and nobody has released it."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False  # released
        try:
            status = os.fstat(descriptor)
            return (status.st_dev, status.st_ino) == self.inode and locks.is_held(descriptor)
        except OSError:
            return True
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Release the lease; who holds it sees that by itself."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self.inode:
                os.unlink(self.path)

    def holders(self) -> Iterator[int]:
        """The processes of our user, or for root of all, that have the file open for writing, as
        holders do.

        Whoever only reads it is none: somebody who looks, or whom an enemy has made open it.
        """
        for pid in processes.pids():
            if pid != os.getpid() and self._is_open_in(pid):
                yield pid

    def _is_open_in(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if os.geteuid() not in (0, os.stat(f"/proc/{pid}").st_uid):
                return False
        for link, _ in opened(pid, lambda path: path == self.path):
            with contextlib.suppress(OSError):
                status = os.stat(link)
                if (status.st_dev, status.st_ino) == self.inode:
                    return True
        return False

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process if it has the file open, and the lease is held."""
        processes.send(pid, number, lambda: self._is_open_in(pid) and self.is_held())
