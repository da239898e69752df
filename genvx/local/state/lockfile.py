"""The lock file of a machine, and the only door to filelock.

It spares rivals collisions. Safety does not rest on it (store.py).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.text import printable
from genvx.local import processes
from genvx.local.state import mounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import filelock

    from genvx.local.state.directory import StateDirectory

TIMEOUT = 5.0
_POLL = 0.005


def filelock_version() -> Optional[str]:
    """The version of the filelock that acquires use here; None if this Python cannot import it."""
    try:
        import filelock
    except ImportError:
        return None
    return str(getattr(filelock, "__version__", "0"))


class LockFile:
    """The lock file of one state directory."""

    def __init__(self, state: StateDirectory, timeout: float = TIMEOUT) -> None:
        self._state = state
        self._timeout = timeout

    @contextlib.contextmanager
    def taken(self, notes: list[str]) -> Iterator[None]:
        """Keep rivals out for one unit of work, if that can be had in time; go on without
        otherwise.

        notes: gets a line that says why there was no lock, and who has it.
        """
        lock = self._take(notes)
        try:
            yield
        finally:
            if lock is not None:
                # Should this fail, its file is closed with the object; what was done here stands.
                with contextlib.suppress(OSError):
                    lock.release()

    def _take(self, notes: list[str]) -> Optional[filelock.BaseFileLock]:
        try:
            import filelock
        except ImportError:
            # A host with an older Python than filelock wants. Publish-then-verify is all it takes.
            return None
        try:
            owner = self._owner()
            if owner is None:
                self._make()
                owner = self._owner()
            if owner is not None and self._is_anothers(owner):
                return None
            lock = filelock.FileLock(
                self._state.lock_path,
                timeout=self._timeout,
                poll_interval=_POLL,
                mode=0o666,
                thread_local=False,
                fallback_to_soft=False,
                preserve_lock_file=True,
            )
            lock.acquire()
            return lock
        except filelock.Timeout:
            why = f"{self._holder()} has held it for {self._timeout:g} s"
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            why = f"{printable(reason, 100)}; 'genvx doctor' tells more"
        notes.append(f"went on without the lock {self._state.lock_path}: {why}")
        return None

    def _owner(self) -> Optional[int]:
        """Whose the lock file is; None if there is none.

        Raises:
            OSError: it cannot be told, as where somebody has mounted something on it: whoever may
            write a file may do that, and lock it by a server that never answers.
        """
        try:
            door = mounts.door(self._state.lock_path, None, self._state.root_mount)
        except FileNotFoundError:
            return None
        try:
            return os.fstat(door).st_uid
        finally:
            os.close(door)

    def _make(self) -> None:
        """Create the lock file for everybody, whatever our umask, or leave the one that is there.

        filelock must not create it: two users who come first at once get in each other's way,
        between the creation and the mode. A link appears complete or not at all.
        """
        path = self._state.lock_path
        temporary = f"{path}.{os.urandom(8).hex()}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o666)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.close(descriptor)
            os.unlink(temporary)

    def _is_anothers(self, owner: int) -> bool:
        """Whether the lock file is of a user who could replace it under whoever holds it.

        Where nobody is root the first to come owns it. filelock rightly refuses that; for us the
        lock only spares collisions, so those who cannot have it go without, and say nothing.
        """
        if not self._state.shared:
            return False
        return owner not in (self._state.uid, os.stat(self._state.root).st_uid)

    def _holder(self) -> str:
        """Who has the lock file locked, as words."""
        try:
            status = os.stat(self._state.lock_path, follow_symlinks=False)
            wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
            with open("/proc/locks", encoding="ascii", errors="replace") as file:
                for line in file:
                    words = line.split()
                    if "->" not in words and "FLOCK" in words and wanted in words:
                        holder = processes.describe(int(words[words.index(wanted) - 1]))
                        if holder is not None:
                            user = processes.owner_of(holder.uid)
                            return f"pid {holder.pid} of {user} ({printable(holder.command, 60)})"
        except (OSError, ValueError):
            pass
        return "a process that cannot be seen from here"
