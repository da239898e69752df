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
from typing import Optional

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
OPEN_DOOR = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


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
    descriptor = os.open(name, OPEN_DOOR, dir_fd=directory)
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
