"""Writing a tree of which the contents come in any order."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import DIRECTORY, FILE, LINK, WHOLE
from genvx.local.trees.place import Place

if TYPE_CHECKING:
    from genvx.core.projects.manifest import Entry, Manifest

_BLOCK = 4096
_COARSE_NS = 2 * 10**9
_NOTHING = bytes(_BLOCK)


class TreeWriter:
    """Writes the files of a manifest below an empty directory of ours; as a context.

    Only its owner may read what is written; a copy gets the modes of the manifest. So files of
    other modes can share an inode. Links are made last, so no file is ever written through one.

    Raises:
        OSError: something cannot be written.
    """

    def __init__(self, descriptor: int, manifest: Manifest) -> None:
        self._manifest = manifest
        self._place = Place(descriptor)
        self._shared: set[int] = set()

    def __enter__(self) -> TreeWriter:
        for entry in self._manifest.entries:
            if entry.kind == DIRECTORY:
                self._place.make_directory(entry.name)
        return self

    def __exit__(self, *_: object) -> None:
        self._place.__exit__()

    def share(self, index: int, source: Place) -> bool:
        """Have a file, by the index of its entry, that has the same name elsewhere; return whether
        it is there with the same size and time. It becomes one file with two names.
        """
        entry = self._manifest.entries[index]
        try:
            old, name = source.split(entry.name)
            status = os.stat(name, dir_fd=old, follow_symlinks=False)
            if not is_as_written(status, entry):
                return False
            new, _ = self._place.split(entry.name)
            os.link(name, name, src_dir_fd=old, dst_dir_fd=new, follow_symlinks=False)
        except OSError:
            return False  # such as a file system without hard links, or with too many of this file
        self._shared.add(index)
        return True

    def write(self, index: int, at: int, content: bytes) -> None:
        """Write a piece of a file, by the index of its entry, unless it is shared."""
        if index in self._shared:
            return
        entry = self._manifest.entries[index]
        flags = os.O_WRONLY | os.O_CREAT | (0 if _is_finished_last(entry) else os.O_EXCL)
        descriptor = self._place.open(entry.name, flags)
        try:
            if entry.sparse:
                write_sparse(descriptor, content, at)
            else:
                write_at(descriptor, content, at)
            if not _is_finished_last(entry):
                _finish(descriptor, entry)
        finally:
            os.close(descriptor)

    def finish(self) -> None:
        """Do what is left when all contents are written: times, empty files, links."""
        for index, entry in enumerate(self._manifest.entries):
            late = _is_finished_last(entry) or not entry.size
            if entry.kind == FILE and late and index not in self._shared:
                descriptor = self._place.open(entry.name, os.O_WRONLY | os.O_CREAT)
                try:
                    os.ftruncate(descriptor, entry.size)
                    _finish(descriptor, entry)
                finally:
                    os.close(descriptor)
        for entry in self._manifest.entries:
            if entry.kind == LINK:
                self._place.make_link(entry.name, entry.target, entry.mtime_ns)


def _is_finished_last(entry: Entry) -> bool:
    return entry.sparse or entry.size > WHOLE


def is_as_written(status: os.stat_result, entry: Entry) -> bool:
    """Whether a file still has the size and the time that it got when all of it was written."""
    if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
        return False
    # Many file systems keep times less exactly: Lustre and old NFS servers in seconds, FAT in two.
    exact = status.st_mtime_ns % 1000 != 0
    return abs(status.st_mtime_ns - entry.mtime_ns) < (1 if exact else _COARSE_NS)


def _finish(descriptor: int, entry: Entry) -> None:
    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))


def write_at(descriptor: int, content: bytes, at: int) -> None:
    """Write all of a content at a place in a file. Raises OSError."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


def write_sparse(descriptor: int, content: bytes, at: int) -> None:
    """As `write_at`, but leave out blocks of zeros, which become holes."""
    start = None
    for offset in range(0, len(content), _BLOCK):
        block = content[offset : offset + _BLOCK]
        if block != _NOTHING[: len(block)]:
            start = offset if start is None else start
        elif start is not None:
            write_at(descriptor, content[start:offset], at + start)
            start = None
    if start is not None:
        write_at(descriptor, content[start:], at + start)
