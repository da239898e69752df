"""Mounts: opening files without touching what somebody has mounted on them, and who sees a mount.

Users may mount file systems of their own (FUSE) on what is theirs. Such a file system answers when
its owner pleases: a server that has died makes each question an error, and one that keeps silent
blocks whoever asks, beyond all signals. So nothing below the state directory is asked before it is
known to be on the same mount as its parent. Opening with O_PATH stops at the door, and the kernel
itself says in /proc/self/fdinfo which mount that is.
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

# What is known to keep locks that do not end with their holder.
_NETWORK = {
    "9p", "afs", "beegfs", "ceph", "cifs", "fuse", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs",
    "nfs", "nfs4", "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs",
}  # fmt: skip


def mount_of(descriptor: int) -> Optional[int]:
    """The id of the mount that an open file is on; None where there is no /proc to tell.

    Never asks the file system itself.

    Raises:
        OSError: it cannot be told for another reason.
    """
    try:
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
    """An O_PATH descriptor of a file of any kind, whose file system may be asked.

    directory: the open directory that `name` is in. mount: that of the directory, from `mount_of`;
    None does not check.

    Raises:
        OSError: there is none; EXDEV: something is mounted on it.
    """
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
        # "." is what was checked, whatever has been mounted there since.
        return os.open(".", OPEN_DIRECTORY, dir_fd=entrance)
    finally:
        os.close(entrance)


def open_file(name: str, directory: int, mount: Optional[int]) -> int:
    """Open a file for reading, without waiting for whatever it is; see `door`."""
    if mount is None:
        return os.open(name, OPEN_FILE, dir_fd=directory)
    entrance = door(name, directory, mount)
    try:
        # This link leads to what was checked, and a link that was checked is not followed further.
        return os.open(f"/proc/self/fd/{entrance}", OPEN_FILE & ~os.O_NOFOLLOW)
    finally:
        os.close(entrance)


# Open at once; there may not be room for many more.
_BATCH = 64


def owners(names: Sequence[str], directory: int) -> Iterator[tuple[str, Optional[int]]]:
    """The owner of each of many files in an open directory; None: something may be mounted on it,
    and has not been asked. Files that are gone are left out.

    Costs a third of looking at each by itself: instead of asking on which mount each is, we read
    once what is mounted here, and after opening some the kernel says whether that has changed.

    Raises:
        OSError: they cannot be looked at.
    """
    here = os.readlink(f"/proc/self/fd/{directory}")
    mount = mount_of(directory)
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        changes = select.poll()
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
    """The names in a directory on which something is mounted."""
    points = (os.fsdecode(words[4]) for words in map(bytes.split, mountinfo.splitlines()))
    return frozenset(os.path.basename(p) for p in points if os.path.dirname(p) == directory)


def network_kind(descriptor: int) -> Optional[str]:
    """The kind of file system that an open file is on, if its locks may outlive their holder:
    network file systems and FUSE.
    """
    device = os.fstat(descriptor).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # btrfs has subvolumes whose devices are not listed; they are local.
    kind = next((kind for _, which, _, kind in _mounts("self") if which == wanted), "")
    return kind if kind in _NETWORK or kind.startswith("fuse") else None


def is_private(path: str) -> bool:
    """Whether a directory is another one than the first process of this machine, or of this
    container, has under that path: as with PrivateTmp of systemd, and tmpfs of Slurm's jobs.

    False where that cannot be told.
    """
    ours, theirs = _origin(path, "self"), _origin(path, "1")
    if ours is None:
        return False
    if theirs is None:
        # Other users' processes are hidden: a part of a file system on exactly this path is a sign.
        return ours[2] == path and ours[1] != "/"
    return ours[:2] != theirs[:2]


def is_mounted(path: str) -> bool:
    """Whether something is mounted on a directory or above it, other than on /."""
    origin = _origin(path, "self")
    return origin is not None and origin[2] != "/"


def _origin(path: str, process: str) -> Optional[tuple[str, str, str]]:
    """Where a process has a directory from: the device, the path in its file system, and the mount
    point.
    """
    best: Optional[tuple[str, str, str]] = None
    for point, device, root, _ in _mounts(process):
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and (best is None or len(point) >= len(best[2])):
            rest = path[len(point) :].lstrip("/")
            best = (device, os.path.join(root, rest).rstrip("/") or "/", point)
    return best


def _mounts(process: str) -> list[tuple[str, str, str, str]]:
    """The mounts that a process sees, in their order: mount point, device, path in the file system,
    and its kind.
    """
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
