"""Copying a stored tree into the directory of a run. Where the file system can share blocks, a copy
costs nothing. Hard links are never used, because a run may write into its files.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import DIRECTORY, FILE, shown_name
from genvx.errors import StateError
from genvx.local.trees.place import Place
from genvx.local.trees.writing import is_as_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.projects.manifest import Entry
    from genvx.local.trees.store import StoredTree

_FICLONE = 0x40049409
_STEP = 64 << 20
# Smaller files are read and written: what the kernel does to copy a range costs more.
_SMALL = 64 << 10
_CHUNK = 1 << 20
# Errors of a file system that cannot do it, or not between these two files.
_CANNOT = (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENOTTY, errno.EPERM)


def copy(tree: StoredTree, target: int) -> Iterator[int]:
    """Copy a tree into an empty directory, by its descriptor; yield how many bytes are done.

    A directory stays writable for its owner, who may want to delete it; the rest is as it was.

    Raises:
        OSError: something cannot be read or written. StateError: the stored tree was changed.
    """
    entries = tree.manifest.entries
    done = 0
    with Place(tree.files) as source, Place(target) as place:
        copier = _Copier()
        for entry in entries:
            if entry.kind == DIRECTORY:
                place.make_directory(entry.name)
            elif entry.kind == FILE:
                for copied in copier.file(source, place, entry):
                    done += copied
                    yield done
        for entry in entries:
            if entry.kind not in (DIRECTORY, FILE):
                place.make_link(entry.name, entry.target, entry.mtime_ns)
        # Last, and the deepest first: each file that is made changes the time of its directory.
        for entry in reversed(entries):
            if entry.kind == DIRECTORY:
                descriptor = place.directory(entry.name)
                os.fchmod(descriptor, entry.mode | 0o700)
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))


class _Copier:
    """Copies files, and remembers what the file system cannot do."""

    def __init__(self) -> None:
        self._clones = self._ranges = True

    def file(self, source: Place, place: Place, entry: Entry) -> Iterator[int]:
        old = source.open(entry.name, os.O_RDONLY | os.O_NONBLOCK)
        new = -1
        try:
            status = os.fstat(old)
            if not is_as_written(status, entry):
                raise StateError(
                    f"{shown_name(entry.name)} was changed in the store of trees, or was lost when "
                    "the host went down; genvx admin clean --all frees the store, and the next "
                    "run sends it again"
                )
            new = place.open(entry.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            yield from self._content(old, new, entry)
            os.fchmod(new, entry.mode)
            os.utime(new, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(old)
            if new >= 0:
                os.close(new)

    def _content(self, old: int, new: int, entry: Entry) -> Iterator[int]:
        if not entry.size:
            return
        if self._clones:
            try:
                fcntl.ioctl(new, _FICLONE, old)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                self._clones = False
            else:
                yield entry.size
                return
        at = 0
        while at < entry.size:
            start, end = _data(old, at, entry) if entry.sparse else (at, entry.size)
            while start < end:
                start += self._some(old, new, start, min(end - start, _STEP))
                yield start - at
                at = start
            yield end - at
            at = end
        os.ftruncate(new, entry.size)

    def _some(self, old: int, new: int, at: int, length: int) -> int:
        """Copy some bytes, and return how many."""
        if self._ranges and length > _SMALL:
            try:
                copied = os.copy_file_range(old, new, length, at, at)
            except OSError as error:
                if error.errno not in _CANNOT:
                    raise
                self._ranges = False
            else:
                if copied:
                    return copied
        content = os.pread(old, min(length, _CHUNK), at)
        if not content:
            raise OSError(errno.EIO, "a file has become shorter")
        return os.pwrite(new, content, at)


def _data(descriptor: int, at: int, entry: Entry) -> tuple[int, int]:
    """Where the next bytes are that are in no hole; at the end of the file if there are none."""
    try:
        start = os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return entry.size, entry.size
    return start, min(os.lseek(descriptor, start, os.SEEK_HOLE), entry.size)
