"""The lock file of a machine, and the only door to filelock.

It keeps rivals apart, which saves retries. Safety does not depend on it (store.py).
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
# How importing filelock fails on a Python that is too old for it: by a module or a name that is
# missing there (3.9), by an argument that a function does not take (3.10), or by its syntax.
_TOO_OLD = (ImportError, TypeError, AttributeError, SyntaxError)


def filelock_version() -> Optional[str]:
    """Return the version of filelock that acquires use; None if this Python cannot import it."""
    try:
        import filelock
    except _TOO_OLD:
        return None
    return str(getattr(filelock, "__version__", "0"))


class LockFile:
    """The lock file of one state directory."""

    def __init__(self, state: StateDirectory, timeout: float = TIMEOUT) -> None:
        self._state = state
        self._timeout = timeout

    @contextlib.contextmanager
    def taken(self, notes: list[str]) -> Iterator[None]:
        """Keep rivals out during one unit of work; go on without the lock if it cannot be had in
        time.

        notes: receives a line that says why there was no lock, and who has it.
        """
        lock = self._take(notes)
        try:
            yield
        finally:
            if lock is not None:
                # If the release fails, the lock ends with the object, which closes its file. The
                # work that was done stays valid.
                with contextlib.suppress(OSError):
                    lock.release()

    def _take(self, notes: list[str]) -> Optional[filelock.BaseFileLock]:
        try:
            import filelock
        except _TOO_OLD:
            # filelock needs a newer Python than this host has. Publish-then-verify is safe without
            # the lock.
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
                # A soft lock is a file that exists: it would outlive a killed process, and every
                # later acquire would wait for its timeout.
                fallback_to_soft=False,
                preserve_lock_file=True,
            )
            lock.acquire()
            return lock
        except filelock.Timeout:
            why = f"{self._holder()} has held it for {self._timeout:g} s"
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            why = f"{printable(reason, 100)}; 'genvx doctor' says more"
        notes.append(f"went on without the lock {self._state.lock_path}: {why}")
        return None

    def _owner(self) -> Optional[int]:
        """The uid of the lock file's owner; None if there is no lock file.

        Raises:
            OSError: it cannot be determined, as when something is mounted on the file. Everybody
            may write the lock file, so anyone can mount a file system on it whose server never
            answers.
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
        """Create the lock file for everybody, whatever our umask; leave an existing one alone.

        filelock must not create it: the second of two users who come at once would find it before
        its mode lets them write. A link appears complete or not at all.
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
        """Whether the lock file belongs to a user who could replace it while somebody holds it.

        Where nobody is root, the first user owns it. filelock rightly refuses such a file. For us
        the lock only saves retries, so other users go without it, silently.
        """
        if not self._state.shared:
            return False
        return owner not in (self._state.uid, os.stat(self._state.root).st_uid)

    def _holder(self) -> str:
        """Describe the process that has locked the lock file."""
        try:
            status = os.stat(self._state.lock_path, follow_symlinks=False)
            # /proc/locks names files by device, in hexadecimal, and inode. "->" marks processes
            # that wait.
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
