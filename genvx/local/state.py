"""The state directory: opened once, checked, and from then on reached through descriptors only.

Two layouts, told apart by who may write the root:

    only its owner (root, or oneself)   ROOT/leases/<uid>/      ROOT/acquire.lock
    everybody, and it is sticky         ROOT/.genvx-<uid>/      ROOT/.genvx.lock

The second is for machines where nobody is root: a shared directory that the first user owned would
let that user delete everybody's leases, so there is none. What is in <uid> counts only while the
kernel says that it is of that user and that nobody else may write it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Optional

from genvx.core.record import dataclass
from genvx.errors import GenvxError, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs",
}  # fmt: skip

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

# What whoever owns a file can bring about when somebody else opens it: then it is nobody's lease.
# Anything else is trouble of our own (no descriptors left, a disk that fails), and to go on without
# having looked would be to grant what somebody holds.
OWNERS_DOING = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        *(errno.ENXIO, errno.ENODEV, errno.EAGAIN),
    )
)

# genvx itself makes at most this many files of a kind for a user. Readers look at more: those who
# start at once do not see each other before they add to it.
MOST_OF_A_KIND = 256
_MOST_NAMES = 4 * MOST_OF_A_KIND

# A user whose <uid> was squatted by somebody else goes on under <uid>.<random>; few of those are
# looked at.
_MOST_FALLBACKS = 8


def state_error(error: OSError, doing: str) -> StateError:
    """Say in one line what an operating system error on the state means and what to do about it."""
    advice = {
        errno.ENOSPC: "the disk is full, or out of inodes; free some space, or choose another "
        "directory with GENVX_STATE_DIR",
        errno.EDQUOT: "your disk quota is used up; free some space there",
        errno.EROFS: "the file system is read-only; choose another directory with GENVX_STATE_DIR",
        errno.EMFILE: "this process has too many files open; raise ulimit -n",
        errno.ENFILE: "the machine has too many files open",
        errno.EACCES: "permission denied; ask the administrator to run 'genvx admin provision'",
        errno.EPERM: "not permitted; ask the administrator to run 'genvx admin provision'",
        errno.EIO: "the disk fails; look at dmesg",
    }.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
    return StateError(f"cannot {doing}: {advice}")


@contextlib.contextmanager
def saying(doing: str) -> Iterator[None]:
    """Turn an operating system error of the block into a StateError that says what was done."""
    try:
        yield
    except GenvxError:
        raise
    except OSError as error:
        raise state_error(error, doing) from None


@dataclass(frozen=True)
class UserDirectory:
    """One user's directory, open.

    `descriptor` is valid only inside the loop or block that gave it.
    """

    uid: int
    descriptor: int
    name: str

    def names(
        self, suffixes: tuple[str, ...], entries: int = 16 * MOST_OF_A_KIND
    ) -> tuple[list[str], bool]:
        """The files that end so, and whether these are all: a flood costs everybody a bounded time,
        and hides nothing but what is the flooder's own.

        entries: files of any name that are looked at.

        Raises:
            OSError: the directory cannot be read.
        """
        found: list[str] = []
        with os.scandir(self.descriptor) as listed:
            for count, entry in enumerate(listed):
                if count >= entries or len(found) >= _MOST_NAMES:
                    return found, False
                if entry.name.endswith(suffixes):
                    found.append(entry.name)
        return found, True


class StateDirectory:
    """The opened root of all leases of a machine.

    Raises:
        StateError: missing, on a network file system, of another user, or writable by others and
        not sticky.
    """

    def __init__(self, root: str, *, uid: Optional[int] = None) -> None:
        self.root = root
        self.uid = os.geteuid() if uid is None else uid
        descriptor = self._open_root(root)
        try:
            with saying(f"open the state directory {root}"):
                mode = self._check(descriptor, root)
                _refuse_network(descriptor, root)
                self.shared = bool(mode & stat.S_IWOTH)
                if self.shared:
                    self._prefix = ".genvx-"
                    self.lock_path = os.path.join(root, ".genvx.lock")
                    self.descriptor = descriptor
                else:
                    self._prefix = ""
                    self.lock_path = os.path.join(root, "acquire.lock")
                    self.descriptor = self._open_leases(descriptor)
                    os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._pattern = re.compile(
            re.escape(self._prefix) + r"(\d{1,10})(\.[0-9a-f]{8})?", re.ASCII
        )

    def close(self) -> None:
        os.close(self.descriptor)

    def _open_root(self, root: str) -> int:
        try:
            return os.open(root, _OPEN_DIRECTORY)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise StateError(
                    f"the state directory {root} is not a directory; choose another with "
                    "GENVX_STATE_DIR"
                ) from None
            raise state_error(error, f"open the state directory {root}") from None
        try:
            os.mkdir(root, 0o700)
            return os.open(root, _OPEN_DIRECTORY)
        except OSError as error:
            raise state_error(error, f"create the state directory {root}") from None

    def _check(self, descriptor: int, path: str) -> int:
        status = os.fstat(descriptor)
        if status.st_uid not in (0, self.uid):
            raise StateError(
                f"the state directory {path} belongs to uid {status.st_uid}, who could delete "
                "every lease in it; it must belong to root or to you"
            )
        others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if others and not status.st_mode & stat.S_ISVTX:
            raise StateError(
                f"the state directory {path} may be written by others and is not sticky; "
                f"chmod +t {path}, or take the others' write permission away"
            )
        return status.st_mode

    def _open_leases(self, root: int) -> int:
        path = os.path.join(self.root, "leases")
        try:
            descriptor = os.open("leases", _OPEN_DIRECTORY, dir_fd=root)
        except FileNotFoundError:
            if os.fstat(root).st_uid != self.uid:
                raise StateError(
                    f"{self.root} has no directory for leases; ask the administrator to run "
                    "'genvx admin provision'"
                ) from None
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir("leases", 0o755, dir_fd=root)
                descriptor = os.open("leases", _OPEN_DIRECTORY, dir_fd=root)
            except OSError as error:
                raise state_error(error, f"create {path}") from None
        except OSError as error:
            raise state_error(error, f"open {path}") from None
        try:
            self._check(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    # Users' directories

    def _names(self) -> list[str]:
        """What is in the directory.

        Listed through a descriptor of its own: ours has one position for all threads, and for all
        processes that were forked with it, and two who list at once would each miss names.
        """
        with saying(f"read the state directory {self.root}"):
            descriptor = os.open(".", _OPEN_DIRECTORY, dir_fd=self.descriptor)
            try:
                return os.listdir(descriptor)
            finally:
                os.close(descriptor)

    def users(self) -> Iterator[UserDirectory]:
        """Every user's directory that the kernel vouches for; each is open until the next is asked
        for.
        """
        found: list[tuple[bool, str, int]] = []
        for name in self._names():
            match = self._pattern.fullmatch(name)
            if match:
                found.append((match[2] is not None, name, int(match[1])))
        opened: dict[int, int] = {}
        for _, name, uid in sorted(found):
            if opened.get(uid, 0) > _MOST_FALLBACKS:
                continue
            descriptor = self._open_user(uid, name)
            if descriptor is None:
                continue
            opened[uid] = opened.get(uid, 0) + 1
            try:
                yield UserDirectory(uid, descriptor, name)
            finally:
                os.close(descriptor)

    def _open_user(self, uid: int, name: str) -> Optional[int]:
        """A user's directory; None if it is not one that counts.

        Raises:
            StateError: it could not be looked at, for which its owner is not to blame.
        """
        try:
            descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno in OWNERS_DOING:
                return None
            raise state_error(error, f"read {self.root}/{name}") from None
        try:
            status = os.fstat(descriptor)
            # On another file system than the root's, as on one that its owner has mounted there,
            # every answer would be the owner's.
            counts = (
                status.st_uid == uid
                and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                and status.st_dev == os.fstat(self.descriptor).st_dev
            )
        except OSError as error:
            os.close(descriptor)
            raise state_error(error, f"read {self.root}/{name}") from None
        if not counts:
            os.close(descriptor)
            return None
        return descriptor

    def squatters(self) -> Iterator[tuple[str, int]]:
        """Names that look like a user's directory but are of another user: (name, uid of its
        owner).
        """
        for name in self._names():
            match = self._pattern.fullmatch(name)
            if match:
                try:
                    status = os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if status.st_uid != int(match[1]):
                    yield name, status.st_uid

    @contextlib.contextmanager
    def own(self) -> Iterator[int]:
        """One's own directory, which others can read, made if need be; open inside the block.

        Raises:
            StateError: it cannot be made.
        """
        descriptor = self._own()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _own(self) -> int:
        name = f"{self._prefix}{self.uid}"
        for candidate in [name, *self._own_fallbacks(name)]:
            descriptor = self._open_user(self.uid, candidate)
            if descriptor is not None:
                return _readable_by_all(descriptor)
        for candidate in (name, f"{name}.{os.urandom(4).hex()}"):
            try:
                os.mkdir(candidate, 0o700, dir_fd=self.descriptor)
            except FileExistsError:
                # Made by another process of ours this moment, or squatted by somebody else.
                pass
            except OSError as error:
                raise state_error(error, f"create {self.root}/{candidate}") from None
            try:
                descriptor = os.open(candidate, _OPEN_DIRECTORY, dir_fd=self.descriptor)
            except OSError:
                continue
            if os.fstat(descriptor).st_uid == self.uid:
                return _readable_by_all(descriptor)
            os.close(descriptor)
        raise StateError(f"cannot create a directory of your own in {self.root}")

    def _own_fallbacks(self, name: str) -> list[str]:
        return sorted(
            found
            for found in self._names()
            if found.startswith(name + ".") and self._pattern.fullmatch(found)
        )

    def path_of(self, directory: int) -> str:
        """The path of an open directory, for programs that need one."""
        return os.readlink(f"/proc/self/fd/{directory}")


def _readable_by_all(descriptor: int) -> int:
    """Have others be able to look into one's own directory, before anything is published there.

    Whatever the umask was, and also where another process of ours has just made the directory, or
    has died before it came to this: a lease that others cannot see would be granted again.
    """
    try:
        if os.fstat(descriptor).st_mode & 0o777 != 0o755:
            os.fchmod(descriptor, 0o755)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_network(descriptor: int, path: str) -> None:
    """Locks of network and FUSE file systems are not the kernel's own, and may outlive their
    holder.
    """
    kind = _kind_of_file_system(os.fstat(descriptor).st_dev)
    if kind in _NETWORK or kind.startswith("fuse"):
        raise StateError(
            f"the state directory {path} is on {kind}, where locks do not end with their holder; "
            "choose a local one with GENVX_STATE_DIR"
        )


def _kind_of_file_system(device: int) -> str:
    """The type of a mounted file system; empty where the kernel does not list it (btrfs
    subvolumes).
    """
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return ""
    for words in lines:
        if len(words) > 9 and words[2] == wanted and "-" in words[:-1]:
            return words[words.index("-") + 1]
    return ""
