"""Files that live while a process holds their lock.

They are published complete and already locked, and never locked again; so a dead file stays dead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Optional

from genvx.core.value import value
from genvx.core.wire.plain import Malformed
from genvx.errors import StateError
from genvx.local.state import locks
from genvx.local.state.directory import state_error
from genvx.local.state.kinds import MOST_BYTES
from genvx.local.state.mounts import OPEN_FILE

if TYPE_CHECKING:
    from genvx.local.state.kinds import Kind
    from genvx.local.state.userdirectory import UserDirectory

# What is not published yet: made by ourselves, and opened by a shell that will hold it.
TEMPORARY = ".tmp"
OPENED = ".open"


class HeldFile:
    """A published file whose lock this process holds.

    It lives while any copy of `descriptor` is open.
    """

    def __init__(self, name: str, descriptor: int, directory: int) -> None:
        self._name = name
        self.descriptor = descriptor
        self._directory = directory

    @property
    def path(self) -> str:
        """The file's path, for people to read; only its name if /proc cannot tell the directory."""
        try:
            return os.path.join(os.readlink(f"/proc/self/fd/{self._directory}"), self._name)
        except OSError:
            return self._name

    def is_published(self) -> bool:
        """Whether the file is still there; False once it was released by id from elsewhere."""
        try:
            there = os.stat(self._name, dir_fd=self._directory, follow_symlinks=False)
            return os.path.samestat(there, os.fstat(self.descriptor))
        except OSError:
            return False

    def withdraw(self) -> None:
        """Delete the file and let go of it. Idempotent.

        Copies of the descriptor in other processes no longer matter then.

        Raises:
            StateError: the file cannot be deleted, and such copies keep it alive.
        """
        if self.descriptor < 0:
            return
        why: Optional[OSError] = None
        try:
            os.unlink(self._name, dir_fd=self._directory)
        except FileNotFoundError:
            pass  # released by id from elsewhere
        except OSError as error:
            why = error
        self._let_go(unpublish=False, why=why)

    def abandon(self) -> None:
        """Close our descriptors and leave the file: for reservations and amendments, which need no
        holder.
        """
        descriptor, directory = self.descriptor, self._directory
        if descriptor >= 0:
            self.descriptor = self._directory = -1
            os.close(descriptor)
            os.close(directory)

    def leave(self) -> None:
        """Let go of the file; delete it unless another process, such as a job, holds it."""
        if self.descriptor >= 0:
            self._let_go(unpublish=True)

    def _let_go(self, *, unpublish: bool, why: Optional[OSError] = None) -> None:
        """Close our descriptors. A file that nobody holds is dead, and may stay until it is reaped.

        why: the error that kept the file from being deleted.
        """
        # Forgotten before it is closed: a second call, as from a signal handler's cleanup, must not
        # close a number that another file has got meanwhile.
        descriptor, directory = self.descriptor, self._directory
        self.descriptor = self._directory = -1
        os.close(descriptor)
        try:
            if (unpublish or why is not None) and self._lives_on(directory) and why is not None:
                raise state_error(why, "release what other processes hold, too") from None
        finally:
            os.close(directory)

    def _lives_on(self, directory: int) -> bool:
        """Whether others hold the file, or may; deletes the file if not."""
        try:
            descriptor = os.open(self._name, OPEN_FILE, dir_fd=directory)
        except FileNotFoundError:
            return False  # released by id from elsewhere
        except OSError:
            return True  # not proved dead
        try:
            held = locks.is_held(descriptor)
        except OSError:
            held = True
        finally:
            os.close(descriptor)
        if not held:
            with contextlib.suppress(OSError):  # dead anyway; a later scan deletes it
                os.unlink(self._name, dir_fd=directory)
        return held


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


@value
class Content:
    """A held file as it is found. data: empty for one that is dead, and too long. for_all: whether
    everybody can read it.
    """

    held: bool
    data: bytes
    for_all: bool


def read(user: UserDirectory, name: str) -> Content:
    """What is in a held file of a user's, and whether somebody holds it.

    Raises:
        Malformed: it is no regular file of theirs, or alive and too long. OSError: it cannot be
        opened.
    """
    descriptor = user.open(name)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Malformed("not a regular file")
        held = locks.is_held(descriptor)
        if status.st_uid != user.uid:
            raise Malformed(f"a file of uid {status.st_uid}, not of the directory's owner")
        for_all = bool(status.st_mode & stat.S_IROTH)
        if status.st_size > MOST_BYTES:
            if not held:
                return Content(held, b"", for_all)
            raise Malformed(f"more than {MOST_BYTES} bytes")
        return Content(held, os.pread(descriptor, MOST_BYTES, 0), for_all)
    finally:
        os.close(descriptor)


def _is_same(descriptor: int, name: str, directory: int) -> bool:
    """Whether an open file is the empty one of that name."""
    here = os.fstat(descriptor)
    there = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return os.path.samestat(here, there) and stat.S_ISREG(here.st_mode) and here.st_size == 0
