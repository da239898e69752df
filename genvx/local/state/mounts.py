"""Mounts: opening files without touching what is mounted on them, and asking who sees a mount.

Users may mount file systems of their own (FUSE) on their own files and directories. Such a file
system answers when its server likes: a dead server makes every request an error, and a silent one
blocks the caller, beyond all signals. So a file below the state directory is touched only if it is
on the same mount as its parent. An open with O_PATH does not touch the file system, and the kernel
says in /proc/self/fdinfo which mount the result is on.
"""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_OPEN_DOOR = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

# File systems whose locks may outlive their holder, such as when a client host crashes: a lease
# there would never end. "fuse" and its variants may do anything.
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs",
}  # fmt: skip


def mount_of(descriptor: int) -> Optional[int]:
    """Return the id of the mount that an open file is on; None without /proc.

    The file system itself is never asked.

    Raises:
        OSError: the mount cannot be determined for another reason.
    """
    try:
        # Not st_dev: a FUSE file system is asked for its attributes by fstat, which is what must
        # not happen.
        information = os.open(f"/proc/self/fdinfo/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # At most four short lines come before it, and its own line is always there.
        _, found, after = os.read(information, 1024).partition(b"mnt_id:")
    finally:
        os.close(information)
    return int(after.split(None, 1)[0]) if found else None


def door(name: str, directory: Optional[int], mount: Optional[int]) -> int:
    """Open a file of any kind with O_PATH, if it is on the mount of its directory.

    directory: the open directory that contains `name`. mount: the directory's, from `mount_of`;
    None skips the check.

    Raises:
        OSError: there is no such file; EXDEV: something is mounted on it.
    """
    # First open, then check what was opened: a check of the name first could be outrun by a mount.
    descriptor = os.open(name, _OPEN_DOOR, dir_fd=directory)
    try:
        if mount is not None and mount_of(descriptor) != mount:
            raise OSError(errno.EXDEV, "a file system is mounted on it", name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def open_directory(name: str, directory: int, mount: Optional[int]) -> int:
    """Open a directory for reading; see `door`."""
    if mount is None:
        return os.open(name, OPEN_DIRECTORY, dir_fd=directory)
    entrance = door(name, directory, mount)
    try:
        # "." of the checked descriptor is the checked directory, even if something has been mounted
        # on its name since.
        return os.open(".", OPEN_DIRECTORY, dir_fd=entrance)
    finally:
        os.close(entrance)


def open_file(name: str, directory: int, mount: Optional[int]) -> int:
    """Open a file for reading, without blocking even if it is a pipe or a device; see `door`."""
    if mount is None:
        return os.open(name, OPEN_FILE, dir_fd=directory)
    entrance = door(name, directory, mount)
    try:
        # The link in /proc leads to the checked file itself. O_NOFOLLOW would refuse that link; a
        # symbolic link that was checked is still not followed.
        return os.open(f"/proc/self/fd/{entrance}", OPEN_FILE & ~os.O_NOFOLLOW)
    finally:
        os.close(entrance)


# Descriptors that are open at once. The usual limit of a process is 1,024, and a program may have
# used most of them.
_BATCH = 64


def owners(names: Sequence[str], directory: int) -> Iterator[tuple[str, Optional[int]]]:
    """Yield the owner of each of many files in an open directory; files that are gone are left out.

    The owner is None if something may be mounted on the file, which is then not touched.

    This costs a third of checking the mount of each file. The list of mounts is read once, and
    after each batch of opens the kernel says whether it has changed.

    Raises:
        OSError: the files cannot be examined.
    """
    here = os.readlink(f"/proc/self/fd/{directory}")
    mount = mount_of(directory)
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        changes = select.poll()
        # The kernel reports a change of the mounts as POLLERR and POLLPRI on an open mountinfo.
        changes.register(file, select.POLLERR | select.POLLPRI)
        mounted = _mounted_in(here, file.read())
        for first in range(0, len(names), _BATCH):
            doors: list[tuple[str, int]] = []
            try:
                for name in names[first : first + _BATCH]:
                    try:
                        doors.append((name, os.open(name, _OPEN_DOOR, dir_fd=directory)))
                    except FileNotFoundError:
                        continue
                # After the opens: a mount that came before an open is in the list that was read, or
                # is a change that is reported now. One that comes later is not reached through the
                # descriptor.
                changed = bool(changes.poll(0))
                if changed:
                    file.seek(0)
                    mounted = _mounted_in(here, file.read())
                for name, descriptor in doors:
                    if name in mounted or (changed and mount_of(descriptor) != mount):
                        yield name, None
                    else:
                        yield name, os.fstat(descriptor).st_uid
            finally:
                for _, descriptor in doors:
                    os.close(descriptor)


def _mounted_in(directory: str, mountinfo: bytes) -> frozenset[str]:
    """The names in a directory that are mount points."""
    points = (os.fsdecode(words[4]) for words in map(bytes.split, mountinfo.splitlines()))
    return frozenset(os.path.basename(p) for p in points if os.path.dirname(p) == directory)


def network_kind(descriptor: int) -> Optional[str]:
    """Return the kind of an open file's file system if its locks may outlive their holder, else
    None.

    These are network file systems and FUSE.
    """
    device = os.fstat(descriptor).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # A subvolume of btrfs has a device number that is not listed; btrfs is local.
    kind = next((kind for _, which, _, kind in _mounts("self") if which == wanted), "")
    return kind if kind in _NETWORK or kind.startswith("fuse") else None


def is_private(path: str) -> bool:
    """Whether a directory differs from the one that process 1 has under the same path.

    This is so with PrivateTmp of systemd, and with the tmpfs of Slurm's jobs. Process 1 is the
    first of this machine, or of this container. False if unknown.
    """
    ours, theirs = _origin(path, "self"), _origin(path, "1")
    if ours is None:
        return False
    if theirs is None:
        # Other users' processes are hidden: a part of a file system on exactly this path is a sign.
        return ours[2] == path and ours[1] != "/"
    return ours[:2] != theirs[:2]


def is_mounted(path: str) -> bool:
    """Whether a directory is on a mount other than the one on /."""
    origin = _origin(path, "self")
    return origin is not None and origin[2] != "/"


def _origin(path: str, process: str) -> Optional[tuple[str, str, str]]:
    """Where a process's directory comes from: device, path in its file system, mount point."""
    best: Optional[tuple[str, str, str]] = None
    for point, device, root, _ in _mounts(process):
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # The longest mount point wins; of mounts on one point the last, which hides the others.
        if inside and (best is None or len(point) >= len(best[2])):
            rest = path[len(point) :].lstrip("/")
            best = (device, os.path.join(root, rest).rstrip("/") or "/", point)
    return best


def _mounts(process: str) -> list[tuple[str, str, str, str]]:
    """The mounts that a process sees, in order: mount point, device, path in it, kind."""
    try:
        with open(f"/proc/{process}/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [
        (words[4], words[2], words[3], words[words.index("-") + 1])
        for words in lines
        if len(words) > 9 and "-" in words[:-1]
    ]
