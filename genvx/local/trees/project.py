"""The project in a directory here: what it consists of, and the contents that are to be sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import FILE, Manifest, digest_of, shown_name
from genvx.core.projects.project import MANY_FILES, MUCH_BYTES, Project
from genvx.core.projects.stream import TASTE, shrinks
from genvx.core.quantities.amounts import format_size
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput, ProjectChanged
from genvx.local.trees import clearing, git
from genvx.local.trees.hashes import Changed, HashCache, read_piece
from genvx.local.trees.walking import Ignoring, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from genvx.core.projects.manifest import Entry
    from genvx.local.trees.walking import Found

_MOST_LARGE = 3


class Gathered:
    """The files of a project, found but not yet read. Arguments: as those of walking.walk.

    Raises:
        InvalidInput: it cannot be sent; the names of what is in the way.
    """

    def __init__(
        self, directory: str, *, follow_links: bool = False, everything: bool = False
    ) -> None:
        self.root = os.path.abspath(os.fsencode(os.path.expanduser(directory)))
        self._follow = follow_links
        self._everything = everything
        self.found = walk(self.root, follow_links=follow_links, everything=everything)

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(each.entry.size for each in self.found)

    @property
    def files(self) -> int:
        """How many files it has."""
        return sum(each.entry.kind == FILE for each in self.found)

    @property
    def large(self) -> str:
        """How large it is, in words, if that is more than people mean to send; else empty."""
        if self.size <= MUCH_BYTES and self.files <= MANY_FILES:
            return ""
        most = ", ".join(
            f"{name} ({files} file{'' if files == 1 else 's'}, {format_size(size)})"
            for name, size, files in self._largest()
        )
        return (
            f"the project has {self.files} files, {format_size(self.size)}; the largest are {most}"
        )

    def _largest(self) -> list[tuple[str, int, int]]:
        """What is largest at the top of it: name, bytes, and number of files."""
        sizes: dict[bytes, list[int]] = {}
        for each in self.found:
            top = sizes.setdefault(each.entry.name.partition(b"/")[0], [0, 0])
            top[0] += each.entry.size
            top[1] += each.entry.kind == FILE
        ordered = sorted(sizes.items(), key=lambda item: item[1], reverse=True)
        return [(shown_name(name), size, files) for name, (size, files) in ordered[:_MOST_LARGE]]

    def read(self, environ: Mapping[str, str]) -> LocalProject:
        """Read the contents of all files that are not known from before.

        Raises:
            ProjectChanged: a file was changed meanwhile. InvalidInput: one cannot be read.
        """
        cache = HashCache(environ, self.root)
        entries = []
        for each in self.found:
            entry = each.entry
            if entry.kind == FILE and entry.size:
                digests = cache.known(each.status)
                if digests is None:
                    digests = self._digests(cache, each)
                entry = entry._replace(digests=digests)
            entries.append(entry)
        cache.save()
        try:
            manifest = Manifest(entries)
        except Malformed as error:
            raise InvalidInput(f"the project cannot be sent: {error}") from None
        base = git.base(self.root)
        name = printable(os.path.basename(self.root).decode("utf-8", "replace"), 64)
        what = (manifest.tree, name, manifest.files, manifest.size)
        recorded = Project(*what, base.commit, base.dirty, base.diff)
        return LocalProject(
            self.root,
            manifest,
            recorded,
            cache,
            follow_links=self._follow,
            ignores=not self._everything,
        )

    def _digests(self, cache: HashCache, found: Found) -> tuple[bytes, ...]:
        try:
            descriptor = _open(self.root, found.entry, follow_links=self._follow)
            try:
                return cache.digests(descriptor, found.status)
            finally:
                os.close(descriptor)
        except Changed:
            raise changed(found.entry) from None
        except OSError as error:
            raise _unreadable(found.entry, error) from None


class LocalProject:
    """A project in a directory here, `root`. recorded: what the record of a run says of it.

    cache: the digests with which it was read. ignores: whether its .gitignore files and the like
    count.
    """

    def __init__(
        self,
        root: bytes,
        manifest: Manifest,
        recorded: Project,
        cache: HashCache,
        *,
        follow_links: bool,
        ignores: bool = True,
    ) -> None:
        self.manifest = manifest
        self.recorded = recorded
        self.root = root
        self._cache = cache
        self._follow = follow_links
        self._ignores = ignores

    def contents(self, wanted: Sequence[int]) -> Iterator[tuple[bytes, bool]]:
        """The contents of the bodies that are wanted, by their indices, and whether packing helps.

        Raises:
            ProjectChanged: a file is not what it was when the project was read. InvalidInput: it
            cannot be read.
        """
        bodies = self.manifest.bodies()
        opened, descriptor, packed = -1, -1, False
        try:
            for index in wanted:
                body = bodies[index]
                number, at = body.places[0]
                entry = self.manifest.entries[number]
                if opened != number:
                    if descriptor >= 0:
                        os.close(descriptor)
                    descriptor, opened = -1, number
                    descriptor = _open(self.root, entry, follow_links=self._follow)
                    packed = shrinks(os.pread(descriptor, TASTE, 0))
                content = read_piece(descriptor, at, body.size)
                # A file whose status is that of its digests has not changed since they were made.
                known = self._cache.known(os.fstat(descriptor))
                if known != entry.digests and digest_of(content) != body.digest:
                    raise changed(entry)
                # A piece of zeros is in a hole, whatever the file begins with.
                yield content, packed or entry.sparse
        except Changed:
            raise changed(entry) from None
        except OSError as error:
            raise _unreadable(entry, error) from None
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def source_of(self, entry: Entry) -> str:
        """The path of the file that has the content of an entry."""
        return os.fsdecode(os.path.join(self.root, entry.name))

    def unwanted(self, extra: Sequence[bytes]) -> list[bytes]:
        """Of what a copy of it has and it has not, what does not belong there; what it ignores
        does. extra: names as clearing.extra gives them.
        """
        ignored = Ignoring(self.root) if self._ignores else None
        return clearing.unwanted(self.root, extra, self.manifest.names(), ignored)

    def bytes_of(self, wanted: Sequence[int]) -> int:
        """How many bytes of content the bodies with these indices have."""
        bodies = self.manifest.bodies()
        return sum(bodies[index].size for index in wanted)


def changed(entry: Entry) -> ProjectChanged:
    """The error where a file is another one than when it was looked at."""
    return ProjectChanged(f"{shown_name(entry.name)} was changed while the project was sent")


def _unreadable(entry: Entry, error: OSError) -> InvalidInput:
    return InvalidInput(f"cannot read {shown_name(entry.name)}: {error.strerror}")


def _open(root: bytes, entry: Entry, *, follow_links: bool) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    if not follow_links:
        flags |= os.O_NOFOLLOW
    return os.open(os.path.join(root, entry.name), flags)
