"""A tree that is put together from files of several places here, and from texts."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Union

from genvx.core.projects.manifest import DIRECTORY, FILE, Entry, Manifest, digest_of, pieces
from genvx.core.projects.project import Project
from genvx.core.projects.stream import TASTE, shrinks
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput, ProjectChanged
from genvx.local.trees.hashes import Changed, HashCache, read_piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.local.trees.project import LocalProject

_MODE = 0o644


class Assembly:
    """The files of a tree, before it is finished."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._sources: dict[bytes, Union[bytes, str]] = {}

    def add_text(self, name: bytes, content: bytes) -> None:
        """Add a file with this content, which is short."""
        digests = tuple(digest_of(content[at : at + n]) for at, n in pieces(len(content)))
        self._add(Entry(name, FILE, _MODE, 0, len(content), digests), content)

    def add_file(self, name: bytes, path: str, cache: HashCache) -> None:
        """Add a file that is here.

        Raises:
            InvalidInput: it cannot be read, or is no regular file. ProjectChanged: it was changed
            meanwhile.
        """
        try:
            descriptor = _open(path)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise InvalidInput(f"{printable(path, 300)} is no regular file")
                digests = cache.known(status) or cache.digests(descriptor, status)
            finally:
                os.close(descriptor)
        except Changed:
            raise _changed(path) from None
        except OSError as error:
            raise InvalidInput(f"cannot read {printable(path, 300)}: {error.strerror}") from None
        digests = digests if status.st_size else ()
        self._add(Entry(name, FILE, _MODE, 0, status.st_size, digests), path)

    def add_entry(self, name: bytes, entry: Entry, source: Union[bytes, str]) -> None:
        """Add an entry of another tree, with its digests. source: its content, or where that is."""
        self._add(entry._replace(name=name, mtime_ns=0, sparse=False), source)

    def add_tree(self, place: bytes, tree: Union[AssembledTree, LocalProject]) -> None:
        """Add all of another tree, in a directory of this one."""
        self._add(Entry(place, DIRECTORY, 0o755, 0), b"")
        for entry in tree.manifest.entries:
            self.add_entry(place + b"/" + entry.name, entry, tree.source_of(entry))

    def _add(self, entry: Entry, source: Union[bytes, str]) -> None:
        parent = entry.name.rpartition(b"/")[0]
        while parent and parent not in self._entries:
            self._entries[parent] = Entry(parent, DIRECTORY, 0o755, 0)
            parent = parent.rpartition(b"/")[0]
        self._entries[entry.name] = entry
        self._sources[entry.name] = source

    def finish(self, name: str) -> AssembledTree:
        """Return the tree.

        Raises:
            InvalidInput: it cannot be sent.
        """
        try:
            return AssembledTree(name, Manifest(self._entries.values()), self._sources)
        except Malformed as error:
            raise InvalidInput(f"what the environment needs cannot be sent: {error}") from None


class AssembledTree:
    """A tree that can be sent; see fleet.shipping.shipment."""

    def __init__(
        self, name: str, manifest: Manifest, sources: Mapping[bytes, Union[bytes, str]]
    ) -> None:
        self.manifest = manifest
        self.recorded = Project(manifest.tree, name, manifest.files, manifest.size)
        self._sources = sources

    def source_of(self, entry: Entry) -> Union[bytes, str]:
        """The content of an entry, or the path of the file that has it."""
        return self._sources.get(entry.name, b"")

    def contents(self, wanted: Sequence[int]) -> Iterator[tuple[bytes, bool]]:
        """The contents of the bodies that are wanted; as LocalProject.contents."""
        bodies = self.manifest.bodies()
        for index in wanted:
            body = bodies[index]
            number, at = body.places[0]
            source = self._sources[self.manifest.entries[number].name]
            if isinstance(source, bytes):
                yield source[at : at + body.size], True
                continue
            try:
                descriptor = _open(source)
                try:
                    packed = shrinks(os.pread(descriptor, TASTE, 0))
                    content = read_piece(descriptor, at, body.size)
                finally:
                    os.close(descriptor)
            except Changed:
                raise _changed(source) from None
            except OSError as error:
                raise InvalidInput(
                    f"cannot read {printable(source, 300)}: {error.strerror}"
                ) from None
            if digest_of(content) != body.digest:
                raise _changed(source)
            yield content, packed


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _changed(path: str) -> ProjectChanged:
    return ProjectChanged(f"{printable(path, 300)} was changed while it was sent")
