"""Landing: a directory here that gets the files of a tree. When the connection ends, contents that
have come are kept for the next time.

    DIR/.genvx-pull/<digest>    contents that have come and are not in their place yet

What is in the directory and not in the tree is deleted only by name (`remove`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Callable, Optional

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
from genvx.core.projects.plan import Landed
from genvx.errors import ProtocolError, StateError
from genvx.local.diskerror import landing_error
from genvx.local.trees import clearing
from genvx.local.trees.alone import keep_others_out
from genvx.local.trees.hashes import Changed, HashCache, read_piece
from genvx.local.trees.place import Place, absolute
from genvx.local.trees.writing import write_at, write_sparse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from genvx.core.projects.manifest import Body, Entry, Manifest
    from genvx.core.projects.plan import Known

_READ = os.O_RDONLY | os.O_NONBLOCK


class Landing:
    """A directory here that gets the files of a tree; as a context.

    Files that are there already are replaced, others stay. No link in the directory is followed;
    the directory itself may be one. only_say: nothing is written, and no directory made. check:
    called with the files that are to come; raises if they may not come here.

    Raises:
        StateError: something cannot be written, by name; or something else is landing there.
    """

    def __init__(
        self,
        directory: str,
        environ: Mapping[str, str],
        *,
        only_say: bool = False,
        check: Callable[[Manifest], object] = lambda manifest: None,
    ) -> None:
        self.path = absolute(directory)
        self._environ = environ
        self._only_say = only_say
        self._check = check
        self._root = -1
        # Files that are here, but for their modes and times.
        self._touched: list[Entry] = []
        self._wanted: list[Entry] = []
        self._bodies: list[Body] = []
        # Contents of files here that are to be replaced: in which file, where, and how long.
        self._old: dict[bytes, tuple[bytes, int, int]] = {}

    def __enter__(self) -> Landing:
        try:
            if not self._only_say:
                os.makedirs(self.path, exist_ok=True)
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            if not self._only_say:
                raise landing_error(
                    FileNotFoundError(errno.ENOENT, "it is gone"), self.path
                ) from None
        except OSError as error:
            raise landing_error(error, self.path) from None
        if not self._only_say:
            try:
                keep_others_out(self._root, self.path)
            except BaseException:
                os.close(self._root)
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._root >= 0:
            os.close(self._root)

    def take(
        self,
        manifest: Manifest,
        bodies: Callable[[list[int]], Iterable[bytes]],
        known: Optional[Known] = None,
        choose: Callable[[Known], Sequence[bytes]] = lambda known: (),
        got: Callable[[int, int], object] = lambda done, total: None,
    ) -> Landed:
        """Have the files of a tree here.

        bodies: called once with the indices of the bodies that are not here; returns them in this
        order. known: the names where the files come from; then `choose` is called with them, and
        returns those that are to be deleted here. got: called with how many bytes have come, and
        how many are to come.
        """
        changed = self.compare(manifest)
        unwanted = () if known is None else choose(known)
        if self._only_say:
            files = sum(manifest.entries[index].kind != DIRECTORY for index in changed)
            gone = sum(not name.endswith(b"/") for name in unwanted)
            return Landed(files, gone, sum(self._bodies[index].size for index in self.needed()))
        lacking = self.await_bodies()
        done, total = 0, sum(self._bodies[index].size for index in lacking)
        for index, content in zip(lacking, bodies(lacking)):
            self.put(index, content)
            done += len(content)
            got(done, total)
        # Only now that all is here: what is in the way of a file may be among it.
        removed = self.remove(unwanted) if unwanted else 0
        return Landed(self.finish(), removed, done)

    def compare(self, manifest: Manifest, busy: Callable[[], None] = lambda: None) -> list[int]:
        """The indices of the entries that are not here as they should be; without directories that
        are here. Nothing is written. busy: called often meanwhile.

        Raises:
            ProtocolError: the tree has a name that is ours, or a link that could lead out later.
        """
        if any(each.name.partition(b"/")[0].lower() == STAGE for each in manifest.entries):
            raise ProtocolError("the files are refused: one has a name of genvx's own")
        # Another tree that comes here later is checked by itself.
        there = {each.name for each in manifest.entries if each.kind == DIRECTORY}
        for each in manifest.entries:
            if each.kind == LINK and depends(each.name, each.target, there):
                link = shown_name(each.name)
                raise ProtocolError(f"the files are refused: the link {link} could lead out")
        self._check(manifest)
        self._bodies = manifest.bodies()
        if self._root < 0:
            self._wanted = list(manifest.entries)
            return list(range(len(manifest.entries)))
        cache = HashCache(self._environ, os.fsencode(self.path))
        differs = []
        self._wanted, self._touched = [], []
        with Place(self._root) as place:
            for index, entry in enumerate(manifest.entries):
                busy()
                if not self._is_here(place, cache, entry, busy):
                    self._wanted.append(entry)
                    if entry.kind != DIRECTORY or not self._is_directory(place, entry.name):
                        differs.append(index)
        cache.save()
        return differs

    def needed(self) -> list[int]:
        """After `compare`, the indices of the bodies that are not in their places."""
        digests = {digest for entry in self._wanted for digest in entry.digests}
        return [index for index, body in enumerate(self._bodies) if body.digest in digests]

    def lacking(self, manifest: Manifest) -> list[int]:
        """The indices of the bodies that are not here, given the files that are to be here.

        Raises:
            ProtocolError: as `compare`. StateError: contents that come could be changed by another
            user.
        """
        self.compare(manifest)
        return self.await_bodies()

    def await_bodies(self) -> list[int]:
        """After `compare`, make ready for what comes, and return what `lacking` does."""
        needed = self.needed()
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
                for index in needed
                if self._staged(place, self._bodies[index].digest) is None
                and not self._taken(place, index)
            ]

    def extra(self, expected: Mapping[bytes, bool], below: bytes = b"") -> list[bytes]:
        """What is here and not expected; see clearing.extra."""
        if self._root < 0:
            return []
        with self._trouble():
            return clearing.extra(self._root, expected, below)

    def remove(self, names: Iterable[bytes]) -> int:
        """Delete what `extra` names; return how many files and links that were."""
        with self._trouble():
            return clearing.remove(self._root, names)

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
            for entry in self._touched:
                descriptor = place.open(entry.name, _READ)
                try:
                    os.fchmod(descriptor, entry.mode)
                    os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
                finally:
                    os.close(descriptor)
            self._clear(place)
        return changed

    def _clear(self, place: Place) -> None:
        """Delete what is left of contents that have come."""
        with contextlib.suppress(OSError):
            stage = place.directory(STAGE)
            for name in os.listdir(stage):
                os.unlink(name, dir_fd=stage)
            os.rmdir(STAGE, dir_fd=self._root)

    def _is_directory(self, place: Place, name: bytes) -> bool:
        try:
            place.directory(name)
        except OSError:
            return False
        return True

    def _is_here(
        self, place: Place, cache: HashCache, entry: Entry, busy: Callable[[], None]
    ) -> bool:
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
                found = known if known is not None else cache.digests(descriptor, status, busy)
                if found == entry.digests:
                    # What is another user's cannot be given its mode and time, only be replaced.
                    if _looks_like(status, entry):
                        return True
                    # What has a name elsewhere would change there, too.
                    if status.st_uid != os.geteuid() or status.st_nlink > 1:
                        return False
                    self._touched.append(entry)
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
            raise landing_error(error, self.path) from None


def _looks_like(status: os.stat_result, entry: Entry) -> bool:
    return (status.st_mode & 0o777, status.st_mtime_ns) == (entry.mode, entry.mtime_ns)


def _name(digest: bytes) -> bytes:
    return STAGE + b"/" + digest.hex().encode("ascii")


def _new(place: Place, name: bytes) -> int:
    """Make a file. One that is there goes: it may be a pipe, or have another name elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        parent, last = place.split(name)
        os.unlink(last, dir_fd=parent)
    return place.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
