"""The file of a lease: whether it is held, who has it open, and signals for these processes.

Pids and inodes are reused, an inode of ext4 at once; the path of a lease never is. A signal goes
only to a process that has this path open for writing, and only while the lease is held.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.local import processes, signals
from genvx.local.openfiles import opened
from genvx.local.state import locks

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator


@value
class LeaseFile:
    """A lease's file, by its path and its inode, which both have to match."""

    path: str
    inode: tuple[int, int]

    @classmethod
    def of(cls, descriptor: int) -> LeaseFile:
        """Return the file behind a descriptor. Raises OSError if /proc does not show its path."""
        status = os.fstat(descriptor)
        return cls(os.readlink(f"/proc/self/fd/{descriptor}"), (status.st_dev, status.st_ino))

    def is_held(self) -> bool:
        """Whether a process holds the lease, and nobody has released it."""
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
        """Release the lease; its holders notice by themselves."""
        with contextlib.suppress(OSError):
            status = os.stat(self.path, follow_symlinks=False)
            if (status.st_dev, status.st_ino) == self.inode:
                os.unlink(self.path)

    def holders(self) -> Iterator[int]:
        """Yield the processes, of our user or for root of all, that have the file open for writing.

        A process that only reads the file does not hold it: it may be looking, or an attacker may
        have made it open the file.
        """
        for pid in processes.pids():
            if pid != os.getpid() and self._is_open_in(pid):
                yield pid

    def _is_open_in(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if os.geteuid() not in (0, os.stat(f"/proc/{pid}").st_uid):
                return False
        # First the path, by reading the link. stat follows it into the file system, which may hang,
        # so it is done only for our own file.
        for link, _ in opened(pid, lambda path: path == self.path):
            with contextlib.suppress(OSError):
                status = os.stat(link)
                if (status.st_dev, status.st_ino) == self.inode:
                    return True
        return False

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process if it has the file open, and the lease is held."""
        signals.send(pid, number, lambda: self._is_open_in(pid) and self.is_held())
