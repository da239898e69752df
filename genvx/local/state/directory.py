"""The state directory: opened once, checked, and from then on reached through descriptors only.

There are two layouts, depending on who may write the root:

    only its owner (root, or oneself)   ROOT/leases/<uid>/      ROOT/acquire.lock
    everybody, and it is sticky         ROOT/.genvx-<uid>/      ROOT/.genvx.lock

The second is for machines where nobody is root. It has no common directory: the first user would
own that, and could delete everybody's leases. <uid> counts only while the kernel says that it
belongs to that user and that nobody else may write it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from typing import TYPE_CHECKING, Optional

from genvx.errors import StateError
from genvx.local.state import mountinfo, mounts
from genvx.local.state.looking import Found, look, open_to_all
from genvx.local.state.opened import Opened
from genvx.local.state.saying import saying, state_error
from genvx.local.state.userdirectory import UserDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A user whose <uid> is squatted by another user uses <uid>.<random>; the first few of those count.
# Directories of the user that do not count cost time, too.
_MOST_COUNTED = 9
_MOST_LOOKED_AT = 64
# More names than this are a sign that somebody squats names.
_CROWD = 512


def _may_be_directory(entry: os.DirEntry[str]) -> bool:
    """Whether a listed name is a directory; True if unknown."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return True


class StateDirectory:
    """The opened root of all leases of a machine.

    former: where its leases were before it was provisioned. Leases that live there still count; new
    ones are not made there. is_former: whether this is that former directory.

    Raises:
        StateError: it is missing, on a network file system, of another user, or writable by others
        and not sticky.
    """

    def __init__(
        self,
        root: str,
        *,
        uid: Optional[int] = None,
        former: Optional[str] = None,
        is_former: bool = False,
    ) -> None:
        self.root = root
        self.is_former = is_former
        self.uid = os.geteuid() if uid is None else uid
        # Programs make many hosts and drop them: the descriptor must not leak.
        self._opened = Opened(self._open_root(root))
        try:
            with saying(f"open the state directory {root}"):
                mode = self._check(self.descriptor, root)
                kind = mountinfo.network_kind(self.descriptor)
                if kind is not None:
                    # These locks may outlive their holder; only the local kernel's end with it.
                    raise StateError(
                        f"the state directory {root} is on {kind}, where locks do not end with "
                        "their holder; choose a local one with GENVX_STATE_DIR"
                    )
                self.root_mount = mounts.mount_of(self.descriptor)
                self.shared = bool(mode & stat.S_IWOTH)
                if self.shared:
                    self._prefix = ".genvx-"
                    self.lock_path = os.path.join(root, ".genvx.lock")
                else:
                    self._prefix = ""
                    self.lock_path = os.path.join(root, "acquire.lock")
                    above, self._opened = self._opened, Opened(self._open_leases(self.descriptor))
                    above.close()
                self._mount = mounts.mount_of(self.descriptor)
            self.former = None if former is None else former_directory(former, self.uid)
        except BaseException:
            self._opened.close()
            raise
        self._pattern = re.compile(
            re.escape(self._prefix) + r"(0|[1-9]\d{0,9})(\.[0-9a-f]{8})?", re.ASCII
        )

    @property
    def descriptor(self) -> int:
        """The directory that contains the users' directories."""
        return self._opened.number

    def close(self) -> None:
        """Close the directory, and the former one."""
        self._opened.close()
        if self.former is not None:
            self.former.close()

    def _open_root(self, root: str) -> int:
        try:
            return os.open(root, mounts.OPEN_DIRECTORY)
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
            # Others may make it at the same time.
            with contextlib.suppress(FileExistsError):
                os.mkdir(root, 0o700)
            return os.open(root, mounts.OPEN_DIRECTORY)
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
            descriptor = os.open("leases", mounts.OPEN_DIRECTORY, dir_fd=root)
        except FileNotFoundError:
            if os.fstat(root).st_uid != self.uid:
                raise StateError(
                    f"{self.root} has no directory for leases; ask the administrator to run "
                    "'genvx admin provision'"
                ) from None
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir("leases", 0o755, dir_fd=root)
                descriptor = os.open("leases", mounts.OPEN_DIRECTORY, dir_fd=root)
            except OSError as error:
                raise state_error(error, f"create {path}") from None
        except OSError as error:
            from genvx.local.state.admission import refuse_outsider

            refuse_outsider(error, path)
            raise state_error(error, f"open {path}") from None
        try:
            self._check(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    # Users' directories

    def _names(self, *, whole: bool = True) -> list[str]:
        """The names in the directory that begin like a user's.

        The directory may be everybody's and full of other files, which cost no more than listing
        them.

        whole: if False, and there is a crowd, only directories are named. The kernel tells the kind
        of a file (d_type) while listing, so squatted files cost others next to nothing.
        """
        prefix = self._prefix
        with saying(f"read the state directory {self.root}"):
            # A descriptor of its own: the position in ours is shared by all threads and forked
            # processes, and two that list at once would each miss names.
            descriptor = os.open(".", mounts.OPEN_DIRECTORY, dir_fd=self.descriptor)
            try:
                with os.scandir(descriptor) as listed:
                    entries = [entry for entry in listed if entry.name.startswith(prefix)]
                    if not whole and len(entries) > _CROWD:
                        entries = [entry for entry in entries if _may_be_directory(entry)]
            finally:
                os.close(descriptor)
        return [entry.name for entry in entries]

    def _candidates(self, names: Iterable[str]) -> list[tuple[int, str]]:
        """The names that look like a user's directory, with the uid that they name."""
        matches = map(self._pattern.fullmatch, names)
        return [(int(match[1]), match[0]) for match in matches if match]

    def _by_user(self) -> dict[int, list[str]]:
        """The names to examine, by uid, with the user's first choice first."""
        names = self._names(whole=False)
        if len(names) > _CROWD and self._mount is not None:
            # Somebody squats names. Drop those that do not belong to the user whom they name: this
            # costs less than examining each.
            from genvx.local.state.owners import owners

            prefix = self._prefix
            with saying(f"read the state directory {self.root}"):
                names = [
                    name
                    for name, owner in owners(names, self.descriptor)
                    if owner is None or name.startswith(f"{prefix}{owner}")
                ]
        found: dict[int, list[str]] = {}
        for uid, name in self._candidates(names):
            found.setdefault(uid, []).append(name)
        for several in found.values():
            several.sort()
        return found

    def users(self, odd: Optional[list[str]] = None) -> Iterator[UserDirectory]:
        """Yield every user's directory that counts, also in the former place.

        Each is open until the next one is requested.

        odd: receives lines about directories that do not count, if they are our own or mount
        points.
        """
        if self.former is not None:
            # First the former place: an environment may move from there to here meanwhile, never
            # back.
            yield from self.former.users(odd)
        for uid, names in self._by_user().items():
            looked = counted = 0
            for name in names:
                if looked >= _MOST_LOOKED_AT or counted >= _MOST_COUNTED:
                    if odd is not None:
                        odd.append(
                            f"{self._shown(name)}: one of more than {_MOST_COUNTED} directories "
                            f"of user {uid}; it and those after it are not looked at"
                        )
                    break
                found = self._look(uid, name)
                # Another user may be making theirs just now. The owner of a mount point is unknown.
                if found.flaw and odd is not None and (uid == self.uid or found.owner is None):
                    odd.append(f"{self._shown(name)}: {found.flaw}")
                looked += found.owner == uid
                if found.descriptor is None:
                    continue
                counted += 1
                try:
                    yield UserDirectory(uid, found.descriptor, self._shown(name), self._mount)
                finally:
                    os.close(found.descriptor)

    def _shown(self, name: str) -> str:
        """A directory's name for people; with its path if it is in the former place."""
        return os.path.join(self.root, name) if self.is_former else name

    def _look(self, uid: int, name: str, *, private: bool = False) -> Found:
        """Examine a name of a user, and open the directory if it counts; see `look`.

        Raises:
            StateError: it could not be examined, for a reason that its owner has not caused.
        """
        try:
            return look(name, uid, self.descriptor, self._mount, private=private)
        except OSError as error:
            raise state_error(error, f"read {self.root}/{name}") from None

    def squatters(self) -> dict[Optional[int], list[str]]:
        """Return names of users' directories that are not theirs, by the uid of their owner.

        None as uid: something is mounted there, which is not touched.
        """
        found: dict[Optional[int], list[str]] = {}
        uids = {name: uid for uid, name in self._candidates(self._names())}
        if self._mount is not None:
            from genvx.local.state.owners import owners

            with saying(f"read the state directory {self.root}"):
                for name, owner in owners(list(uids), self.descriptor):
                    if owner != uids[name]:
                        found.setdefault(owner, []).append(name)
        return found

    @contextlib.contextmanager
    def own(self) -> Iterator[int]:
        """Open one's own directory, which is made if needed; it is closed after the block.

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
        found = self._look(self.uid, name, private=True)
        fallbacks = [] if found.descriptor is not None else self._names()
        for candidate in sorted(each for each in fallbacks if each.startswith(f"{name}.")):
            if found.descriptor is None and self._pattern.fullmatch(candidate):
                found = self._look(self.uid, candidate, private=True)
        if found.descriptor is not None:
            return open_to_all(found.descriptor)
        for candidate in (name, f"{name}.{os.urandom(4).hex()}"):
            try:
                os.mkdir(candidate, 0o700, dir_fd=self.descriptor)
            except FileExistsError:
                # Another process of ours has made it just now, or another user squats it.
                pass
            except OSError as error:
                raise state_error(error, f"create {self.root}/{candidate}") from None
            found = self._look(self.uid, candidate, private=True)
            if found.descriptor is not None:
                return open_to_all(found.descriptor)
        raise StateError(f"cannot create a directory of your own in {self.root}")

    def has_usable_lock(self) -> bool:
        """Whether we may lock the lock file, or there is none yet."""
        try:
            door = mounts.door(self.lock_path, None, self.root_mount)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        try:
            regular = stat.S_ISREG(os.fstat(door).st_mode)
        finally:
            os.close(door)
        return regular and os.access(self.lock_path, os.R_OK | os.W_OK)

    def own_directory(self, descriptor: int) -> UserDirectory:
        """Wrap the descriptor that `own` gave."""
        return UserDirectory(self.uid, descriptor, "", self._mount)

    def tell_former(self) -> None:
        """Make one's own shells with leases in the former place notice a change.

        At each prompt they compare the time of their lease's directory.
        """
        if self.former is not None:
            for user in self.former.users():
                if user.uid == self.uid:
                    with contextlib.suppress(OSError):
                        os.utime(user.descriptor)

    def path_of(self, directory: int) -> str:
        """Return the path of an open directory, for programs that need one."""
        return os.readlink(f"/proc/self/fd/{directory}")


def former_directory(root: str, uid: int) -> Optional[StateDirectory]:
    """Open the state directory that was used before, for reading; None if no lease can be there.

    Raises:
        StateError: it cannot be examined.
    """
    with saying(f"look at {root}"):
        try:
            descriptor = os.open(root, mounts.OPEN_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            status = os.fstat(descriptor)
            unsafe = mountinfo.network_kind(descriptor) is not None
        finally:
            os.close(descriptor)
    others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if unsafe or status.st_uid != 0 or (others and not status.st_mode & stat.S_ISVTX):
        return None  # every genvx refuses such a root
    if not status.st_mode & stat.S_IWOTH and not os.path.isdir(os.path.join(root, "leases")):
        return None
    return StateDirectory(root, uid=uid, is_former=True)
