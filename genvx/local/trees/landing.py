"""Landing: a directory here that gets the files of a tree. When the connection ends, contents that
have come are kept for the next time.

    DIR/.genvx-pull/<digest>    contents that have come and are not in their place yet
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Optional

from genvx.core.projects.links import depends
from genvx.core.projects.manifest import (
    DIRECTORY,
    FILE,
    LINK,
    STAGE,
    digest_of,
    pieces,
    shown_name,
)
from genvx.errors import ProtocolError, StateError
from genvx.local.trees.alone import keep_others_out
from genvx.local.trees.hashes import Changed, HashCache, read_piece
from genvx.local.trees.place import Place
from genvx.local.trees.writing import write_at, write_sparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genvx.core.projects.manifest import Body, Entry, Manifest

_READ = os.O_RDONLY | os.O_NONBLOCK


class Landing:
    """A directory here that gets the files of a tree; as a context.

    Files that are there already are replaced, others stay. No link in the directory is followed.

    Raises:
        StateError: something cannot be written, by name; or something else is landing there.
    """

    def __init__(self, directory: str, environ: Mapping[str, str]) -> None:
        self.path = os.path.abspath(os.path.expanduser(directory))
        self._environ = environ
        self._root = -1
        self._wanted: list[Entry] = []
        self._bodies: list[Body] = []
        # Contents of files here that are to be replaced: in which file, where, and how long.
        self._old: dict[bytes, tuple[bytes, int, int]] = {}

    def __enter__(self) -> Landing:
        try:
            os.makedirs(self.path, exist_ok=True)
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _trouble(error, self.path) from None
        try:
            keep_others_out(self._root, self.path)
        except BaseException:
            os.close(self._root)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._root >= 0:
            os.close(self._root)

    def lacking(self, manifest: Manifest) -> list[int]:
        """The indices of the bodies that are not here, given the files that are to be here.

        Raises:
            ProtocolError: the tree has a name that is ours, or a link that could lead out later.
            StateError: contents that come could be changed by another user.
        """
        if any(each.name.partition(b"/")[0].lower() == STAGE for each in manifest.entries):
            raise ProtocolError("the files are refused: one has a name of genvx's own")
        # Another tree that comes here later is checked by itself.
        there = {each.name for each in manifest.entries if each.kind == DIRECTORY}
        for each in manifest.entries:
            if each.kind == LINK and depends(each.name, each.target, there):
                link = shown_name(each.name)
                raise ProtocolError(f"the files are refused: the link {link} could lead out")
        cache = HashCache(self._environ, os.fsencode(self.path))
        with Place(self._root) as place:
            self._wanted = [e for e in manifest.entries if not self._is_here(place, cache, e)]
        cache.save()
        self._bodies = manifest.bodies()
        needed = {digest for entry in self._wanted for digest in entry.digests}
        with self._trouble(), Place(self._root) as place:
            with contextlib.suppress(FileExistsError):
                place.make_directory(STAGE)
            # Contents are checked when they come, and moved to their places later. The owner of
            # this directory could change them in between.
            if os.fstat(place.directory(STAGE)).st_uid != os.geteuid():
                stage = shown_name(os.path.join(os.fsencode(self.path), STAGE))
                raise StateError(f"{stage} is another user's; delete it, or copy to elsewhere")
            return [
                index
                for index, body in enumerate(self._bodies)
                if body.digest in needed
                and self._staged(place, body.digest) is None
                and not self._taken(place, index)
            ]

    def put(self, index: int, content: bytes) -> None:
        """Take a body that was lacking. Raises ProtocolError if it is another one."""
        body = self._bodies[index]
        if len(content) != body.size or digest_of(content) != body.digest:
            raise ProtocolError("the files are refused: a content has another digest")
        with self._trouble(), Place(self._root) as place:
            descriptor = _new(place, _name(body.digest))
            try:
                write_at(descriptor, content, 0)
            finally:
                os.close(descriptor)

    def finish(self) -> int:
        """Put everything into its place; return how many files and links are new or changed."""
        changed = 0
        left: dict[bytes, int] = {}
        for entry in self._wanted:
            for digest in entry.digests:
                left[digest] = left.get(digest, 0) + 1
        with self._trouble(), Place(self._root) as place:
            for entry in self._wanted:
                if entry.kind == DIRECTORY:
                    self._make_directory(place, entry)
            for entry in self._wanted:
                changed += entry.kind != DIRECTORY
                if entry.kind == FILE:
                    self._place(place, entry, left)
                elif entry.kind == LINK:
                    with contextlib.suppress(FileNotFoundError):
                        parent, last = place.split(entry.name)
                        os.unlink(last, dir_fd=parent)
                    place.make_link(entry.name, entry.target, entry.mtime_ns)
            for entry in reversed(self._wanted):
                if entry.kind == DIRECTORY:
                    descriptor = place.directory(entry.name)
                    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            self._clear(place)
        return changed

    def _clear(self, place: Place) -> None:
        """Delete what is left of contents that have come."""
        with contextlib.suppress(OSError):
            stage = place.directory(STAGE)
            for name in os.listdir(stage):
                os.unlink(name, dir_fd=stage)
            os.rmdir(STAGE, dir_fd=self._root)

    def _is_here(self, place: Place, cache: HashCache, entry: Entry) -> bool:
        """Whether a file or link is here as it should be. Directories are made each time."""
        if entry.kind == DIRECTORY:
            return False
        with contextlib.suppress(OSError, Changed):
            if entry.kind == LINK:
                parent, last = place.split(entry.name)
                return os.readlink(last, dir_fd=parent) == entry.target
            descriptor = place.open(entry.name, _READ)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    return False
                known = cache.known(status)
                found = known if known is not None else cache.digests(descriptor, status)
                # A file with another name elsewhere would change there, too.
                if found == entry.digests and status.st_nlink == 1:
                    os.fchmod(descriptor, entry.mode)
                    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
                    return True
                for digest, (at, length) in zip(found, pieces(status.st_size)):
                    self._old[digest] = (entry.name, at, length)
            finally:
                os.close(descriptor)
        return False

    def _staged(self, place: Place, digest: bytes) -> Optional[bytes]:
        """A content that has come before; None if it has not, or not whole."""
        try:
            descriptor = place.open(_name(digest), _READ)
        except FileNotFoundError:
            return None
        with open(descriptor, "rb") as file:
            content = file.read()
        return content if digest_of(content) == digest else None

    def _taken(self, place: Place, index: int) -> bool:
        """Take a content from a file that is to be replaced, if it is there: a file that has grown
        has most of its contents already.
        """
        name, at, length = self._old.get(self._bodies[index].digest, (b"", 0, 0))
        if not name:
            return False
        with contextlib.suppress(OSError, Changed, ProtocolError):
            descriptor = place.open(name, _READ)
            try:
                content = read_piece(descriptor, at, length)
            finally:
                os.close(descriptor)
            self.put(index, content)
            return True
        return False

    def _make_directory(self, place: Place, entry: Entry) -> None:
        try:
            place.make_directory(entry.name)
        except FileExistsError:
            place.directory(entry.name)  # refuses what is none
        os.fchmod(place.directory(entry.name), entry.mode | 0o700)

    def _place(self, place: Place, entry: Entry, left: dict[bytes, int]) -> None:
        """Make a file of its contents, and move it to its place."""
        for digest in entry.digests:
            left[digest] -= 1
        if len(entry.digests) == 1 and not entry.sparse and not left[entry.digests[0]]:
            made = _name(entry.digests[0])  # no other file needs this content
        else:
            made = STAGE + b"/new"
            descriptor = _new(place, made)
            try:
                for digest, (at, _) in zip(entry.digests, pieces(entry.size)):
                    content = self._staged(place, digest)
                    if content is None:
                        raise StateError(f"what has come of {shown_name(entry.name)} was deleted")
                    (write_sparse if entry.sparse else write_at)(descriptor, content, at)
                os.ftruncate(descriptor, entry.size)
            except BaseException:
                with contextlib.suppress(OSError):  # it only takes room on a full disk
                    os.unlink(b"new", dir_fd=place.directory(STAGE))
                raise
            finally:
                os.close(descriptor)
        descriptor = place.open(made, os.O_WRONLY)
        try:
            os.fchmod(descriptor, entry.mode)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(descriptor)
        source, name = place.split(made)
        source = os.dup(source)
        try:
            target, last = place.split(entry.name)
            os.rename(name, last, src_dir_fd=source, dst_dir_fd=target)
        finally:
            os.close(source)

    @contextlib.contextmanager
    def _trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _trouble(error, self.path) from None


def _name(digest: bytes) -> bytes:
    return STAGE + b"/" + digest.hex().encode("ascii")


def _new(place: Place, name: bytes) -> int:
    """Make a file. One that is there goes: it may be a pipe, or have another name elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        parent, last = place.split(name)
        os.unlink(last, dir_fd=parent)
    return place.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _trouble(error: OSError, path: str) -> StateError:
    named = error.filename if isinstance(error.filename, (str, bytes)) else b""
    file = f" ({shown_name(os.fsencode(named))})" if named else ""
    why = error.strerror or str(error)
    if error.errno == errno.ELOOP:
        why = "a symbolic link is in the way"
    return StateError(f"cannot write to {shown_name(os.fsencode(path))}{file}: {why}")
