"""The file of a lease as somebody holds it: whether it is held, who has it open, and signals for
those.

A pid and an inode are used again, an inode of ext4 at once; the path of a lease never is. A signal
goes to a process that has this path open for writing, while the lease is held, and to nobody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from typing import TYPE_CHECKING

from genvx.core.record import dataclass
from genvx.local import locks

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
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
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid() and self._is_open_in(int(entry)):
                yield int(entry)

    def _is_open_in(self, pid: int) -> bool:
        with contextlib.suppress(OSError):
            if os.geteuid() not in (0, os.stat(f"/proc/{pid}").st_uid):
                return False
            for number in os.listdir(f"/proc/{pid}/fd"):
                link = f"/proc/{pid}/fd/{number}"
                with contextlib.suppress(OSError):
                    # The path first: to ask for the inode may wait for a file system of a stranger.
                    if os.readlink(link) != self.path or not os.lstat(link).st_mode & stat.S_IWUSR:
                        continue
                    status = os.stat(link)
                    if (status.st_dev, status.st_ino) == self.inode:
                        return True
        return False

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process if it has the file open, and the lease is held."""
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except (AttributeError, OSError):
            process = -1  # the kernel has none (before 5.3), or none is allowed
        try:
            # What is seen now is of the process that was opened, or that one has ended.
            if self._is_open_in(pid) and self.is_held():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if process >= 0:
                        signal.pidfd_send_signal(process, number)
                    else:
                        os.kill(pid, number)
        finally:
            if process >= 0:
                os.close(process)
