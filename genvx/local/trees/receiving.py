"""Receiving a tree: contents that other trees here have are copied, and all others are sent.

When the connection ends, the contents that have come stay, and the next transfer uses them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from typing import TYPE_CHECKING, Callable

from genvx.core.projects.manifest import DEEPEST, FILE, Manifest, digest_of, pieces
from genvx.core.projects.project import is_tree
from genvx.core.wire.plain import Malformed
from genvx.errors import ProtocolError
from genvx.local.diskerror import disk_error
from genvx.local.trees.place import OPEN_DIRECTORY, Place
from genvx.local.trees.store import FILES
from genvx.local.trees.writing import TreeWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.projects.manifest import Body, Entry
    from genvx.local.trees.store import TreeStore

# The most trees that are searched for contents.
_MOST_SOURCES = 32


def receive(
    store: TreeStore,
    tree: str,
    data: bytes,
    ask: Callable[[list[int], list[Body]], Iterable[bytes]],
    busy: Callable[[], None] = lambda: None,
) -> None:
    """Receive a tree.

    data: its manifest, of unknown origin. ask: called once with the indices of the bodies that are
    not here, and all bodies; it returns their contents in this order. busy: called often while
    bodies are copied here.

    Raises:
        ProtocolError: what came is not this tree. StateError: it cannot be written.
    """
    try:
        manifest = Manifest.read(data)
        bodies = manifest.bodies()
    except Malformed as error:
        raise ProtocolError(f"the files are refused: {error}") from None
    # What is deeper could not be deleted any more.
    if any(entry.name.count(b"/") > DEEPEST for entry in manifest.entries):
        raise ProtocolError(f"the files are refused: more than {DEEPEST} directories deep")
    if not is_tree(tree) or manifest.tree != tree:
        raise ProtocolError("the files are refused: they are not those of the tree")
    path, descriptor = store.begin(tree, data)
    try:
        files = os.open(os.path.join(path, FILES), OPEN_DIRECTORY)
        try:
            with TreeWriter(files, manifest) as writer:
                taking = _Taking(manifest, bodies, writer, busy)
                taking.take(store, path)
                lacking = sorted(taking.wanted.values())
                for index, content in zip(lacking, ask(lacking, bodies)):
                    body = bodies[index]
                    if len(content) != body.size or digest_of(content) != body.digest:
                        raise ProtocolError("the files are refused: a content has another digest")
                    taking.put(body.digest, content)
                if taking.wanted:
                    raise ProtocolError("not all contents of the files have come")
                writer.finish()
        finally:
            os.close(files)
        store.complete(path, tree)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(path, ignore_errors=True)  # it only takes room on a full disk
        raise disk_error(error, f"write to {store.root}") from None
    finally:
        os.close(descriptor)
    store.forget_parts(tree)
    store.forget_unused()


class _Taking:
    """Takes bodies from trees that are here, and removes them from `wanted`."""

    def __init__(
        self,
        manifest: Manifest,
        bodies: list[Body],
        writer: TreeWriter,
        busy: Callable[[], None],
    ) -> None:
        self.wanted = {body.digest: index for index, body in enumerate(bodies)}
        self._left = {body.digest: len(body.places) for body in bodies}
        self._bodies = bodies
        self._writer = writer
        self._busy = busy
        self._entries = manifest.entries
        self._index = {each.name: index for index, each in enumerate(manifest.entries)}

    def put(self, digest: bytes, content: bytes) -> None:
        """Write a body to all of its places."""
        for entry, at in self._bodies[self.wanted.pop(digest)].places:
            self._writer.write(entry, at, content)

    def take(self, store: TreeStore, path: str) -> None:
        """Take what other trees have. path: of the tree that is to come."""
        for number, source in enumerate(store.sources(path)):
            if not self.wanted or number == _MOST_SOURCES:
                return
            if not source.has_any(self.wanted.keys()):
                continue
            with contextlib.suppress(Malformed), Place(source.files) as place:
                entries = source.read().entries
                if source.complete:
                    self._share(place, entries)
                self._copy(place, entries)

    def _share(self, place: Place, entries: tuple[Entry, ...]) -> None:
        """Share the files that are the same in another tree, which must be complete."""
        for theirs in entries:
            self._busy()
            if theirs.kind != FILE or self.wanted.keys().isdisjoint(theirs.digests):
                continue
            index = self._index.get(theirs.name)
            if index is None or self._entries[index]._replace(mode=theirs.mode) != theirs:
                continue
            if self._writer.share(index, place):
                for digest in theirs.digests:
                    self._left[digest] -= 1
                    if not self._left[digest]:
                        self.wanted.pop(digest, None)

    def _copy(self, place: Place, entries: tuple[Entry, ...]) -> None:
        """Copy bodies; the tree may be damaged, so each is compared with its digest."""
        for entry in entries:
            if entry.kind != FILE or self.wanted.keys().isdisjoint(entry.digests):
                continue
            try:
                source = place.open(entry.name, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue  # the transfer of that tree was cut before this file
            try:
                for digest, (at, length) in zip(entry.digests, pieces(entry.size)):
                    if digest in self.wanted:
                        content = _read(source, at, length)
                        if digest_of(content) == digest:
                            self.put(digest, content)
                        self._busy()
            finally:
                os.close(source)


def _read(descriptor: int, at: int, length: int) -> bytes:
    with contextlib.suppress(OSError):  # a content that cannot be read is sent
        return os.pread(descriptor, length, at)
    return b""
