"""The trees that have come to this machine, for the runs of one user.

    TREES/<id>/manifest           which files it has; each user of the tree holds a lock on it
              files/              the files, readable for their owner only
    TREES/<id>.<8 hex>/           a tree of which not all has come yet
    TREES/.gone.<8 hex>/          one that is being deleted

A tree is complete from the moment at which it has its name. Its time is that of its last use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, NamedTuple

from genvx.core.projects.manifest import DIGEST_BYTES, MOST_MANIFEST, Manifest
from genvx.core.projects.project import is_tree
from genvx.core.wire.plain import Malformed
from genvx.errors import StateError, TreeMissing
from genvx.local.diskerror import disk_error
from genvx.local.trees.place import OPEN_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

MANIFEST, FILES = "manifest", "files"
_NEW_MANIFEST = "manifest.new"
_DIGEST = re.compile(rb"[0-9a-f]{%d}" % (2 * DIGEST_BYTES))
_PARTIAL = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{8}")
_GONE = re.compile(r"\.gone\.[0-9a-f]{8}")
_OPEN_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
UNUSED_SECONDS = 30 * 86400.0
# How long the rest of a cut transfer is kept for the next one.
_PARTIAL_SECONDS = 2 * 86400.0


def trees_root(environ: Mapping[str, str]) -> str:
    """The directory of a user's trees: with the runs if GENVX_RUNS_DIR is set, else in the cache.

    Runs are put elsewhere where the home is small or slow. And on the same file system a copy may
    cost nothing.
    """
    runs = environ.get("GENVX_RUNS_DIR", "")
    if runs:
        return os.path.join(os.path.abspath(os.path.expanduser(runs)), ".trees")
    return os.path.join(cache_root(environ), "trees")


def cache_root(environ: Mapping[str, str]) -> str:
    """The directory of genvx below the cache of its user."""
    cache = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "genvx")


class Kept(NamedTuple):
    """A tree in the store. idle: seconds since it was used. size: bytes of its files."""

    name: str
    partial: bool
    idle: float
    size: int


class StoredTree:
    """A tree that is complete, and stays while this is open; as a context.

    files: a descriptor of the directory of its files.
    """

    def __init__(self, manifest: Manifest, files: int, lock: int) -> None:
        self.manifest = manifest
        self.files = files
        self._lock = lock

    def close(self) -> None:
        """Allow that the tree is deleted. A second call does nothing."""
        files, lock, self.files, self._lock = self.files, self._lock, -1, -1
        for descriptor in (files, lock):
            if descriptor >= 0:
                os.close(descriptor)

    def __enter__(self) -> StoredTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Source:
    """A tree from which contents can be taken. complete: whether all of its files are there.

    files: a descriptor of their directory.
    """

    def __init__(self, complete: bool, manifest: bytes, files: int) -> None:
        self.complete = complete
        self.files = files
        self._manifest = manifest

    def has_any(self, digests: Collection[bytes]) -> bool:
        """Whether it has a body with one of these digests; it may also say so if it has none."""
        found = {bytes.fromhex(each.decode()) for each in _DIGEST.findall(self._manifest)}
        return not found.isdisjoint(digests)

    def read(self) -> Manifest:
        """Its files. Raises Malformed."""
        return Manifest.read(self._manifest)


class TreeStore:
    """The trees of one user on one machine, or in a directory that machines share."""

    def __init__(self, root: str) -> None:
        self.root = root

    def has(self, tree: str) -> bool:
        """Whether a tree is here, where nobody else could have made it."""
        with contextlib.suppress(OSError):
            self._require_ours()
            return is_tree(tree) and os.path.isfile(os.path.join(self.root, tree, MANIFEST))
        return False

    def require(self, tree: str) -> None:
        """Raise TreeMissing if a tree is not here."""
        if not self.has(tree):
            raise missing()

    def open(self, tree: str) -> StoredTree:
        """Open a tree, which counts as a use of it.

        Raises:
            TreeMissing: it is not here. StateError: it cannot be read.
        """
        self.require(tree)
        path = os.path.join(self.root, tree)
        descriptor = -1
        try:
            descriptor = self._open_manifest(path, os.O_RDONLY, fcntl.LOCK_SH)
            os.utime(path)
            files = os.open(os.path.join(path, FILES), OPEN_DIRECTORY)
        except FileNotFoundError:
            _close(descriptor)
            raise missing() from None
        except OSError as error:
            _close(descriptor)
            raise disk_error(error, f"read {path}") from None
        try:
            return StoredTree(_read_manifest(descriptor), files, descriptor)
        except (Malformed, OSError) as error:
            os.close(files)
            os.close(descriptor)
            raise StateError(f"cannot read {path}: {error}; delete it, and start again") from None

    def begin(self, tree: str, manifest: bytes) -> tuple[str, int]:
        """Make the directory of a tree that is to come; return its path, and a descriptor that
        keeps it from being deleted while it is open. Raises StateError.
        """
        path = os.path.join(self.root, f"{tree}.{os.urandom(4).hex()}")
        new = os.path.join(path, _NEW_MANIFEST)
        descriptor = -1
        try:
            self._make_root()
            os.mkdir(path, 0o700)
            os.mkdir(os.path.join(path, FILES), 0o700)
            descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN_FILE, 0o600)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            view = memoryview(manifest)
            while view:
                view = view[os.write(descriptor, view) :]
            # It gets its name once it is locked: `delete` spares what is new and has no manifest.
            os.rename(new, os.path.join(path, MANIFEST))
        except OSError as error:
            _close(descriptor)
            shutil.rmtree(path, ignore_errors=True)
            raise disk_error(error, f"write to {self.root}") from None
        return path, descriptor

    def complete(self, path: str, tree: str) -> None:
        """Give a tree its name, now that all of it is here. Raises StateError."""
        try:
            os.rename(path, os.path.join(self.root, tree))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise disk_error(error, f"write to {self.root}") from None
            shutil.rmtree(path, ignore_errors=True)  # another client was faster; it is the same
        with contextlib.suppress(OSError):
            os.utime(os.path.join(self.root, tree))

    def sources(self, other_than: str) -> Iterator[Source]:
        """What is here of any tree, the last used first, each valid until the next. other_than: the
        path of one that is not wanted.
        """
        for _, name in sorted(self._times(), reverse=True):
            path = os.path.join(self.root, name)
            descriptor = files = -1
            try:
                descriptor = self._open_manifest(path, os.O_RDONLY, fcntl.LOCK_SH)
                files = os.open(os.path.join(path, FILES), OPEN_DIRECTORY)
                if path != other_than:
                    yield Source(is_tree(name), _read(descriptor), files)
            except (OSError, Malformed):
                continue
            finally:
                _close(files)
                _close(descriptor)

    def clean(
        self, unused: float = UNUSED_SECONDS, *, only_say: bool = False
    ) -> tuple[list[Kept], list[Kept]]:
        """Delete trees that were not used for so many seconds, and the rest of cut transfers;
        return what was deleted and what stays.

        A tree in use stays, and one that cannot be deleted. only_say: delete nothing.
        """
        gone: list[Kept] = []
        stays: list[Kept] = []
        for kept in self.kept():
            limit = min(unused, _PARTIAL_SECONDS) if kept.partial else unused
            goes = kept.idle >= limit and (
                not self._in_use(kept.name) if only_say else self.delete(kept.name)
            )
            (gone if goes else stays).append(kept)
        if not only_say:
            with contextlib.suppress(OSError):
                for name in os.listdir(self.root):
                    if _GONE.fullmatch(name):
                        shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
        return gone, stays

    def kept(self) -> list[Kept]:
        """What is in the store, the longest unused first."""
        now = time.time()  # noqa: TID251  # what the times of files are
        return [
            Kept(name, not is_tree(name), max(0.0, now - used), self._size(name))
            for used, name in sorted(self._times())
        ]

    def _size(self, name: str) -> int:
        with contextlib.suppress(OSError, Malformed):
            path = os.path.join(self.root, name, MANIFEST)
            descriptor = os.open(path, os.O_RDONLY | _OPEN_FILE)
            try:
                return _read_manifest(descriptor).size
            finally:
                os.close(descriptor)
        return 0

    def _in_use(self, name: str) -> bool:
        try:
            path = os.path.join(self.root, name)
            _close(self._open_manifest(path, os.O_RDWR, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except OSError as error:
            return error.errno != errno.ENOENT
        return False

    def forget_unused(self) -> None:
        """Delete what was not used for a month, because something new was stored."""
        now = time.time()  # noqa: TID251  # what the times of files are
        if any(now - used >= _PARTIAL_SECONDS for used, _ in self._times()):
            self.clean()

    def forget_parts(self, tree: str) -> None:
        """Delete what cut transfers have left of a tree."""
        for _, name in self._times():
            if name.startswith(f"{tree}."):
                self.delete(name)

    def delete(self, name: str) -> bool:
        """Delete a tree, or a part of one, unless it is in use; return whether that was done."""
        path = os.path.join(self.root, name)
        gone = os.path.join(self.root, f".gone.{os.urandom(4).hex()}")
        try:
            descriptor = self._open_manifest(path, os.O_RDWR, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            if not self._is_abandoned(path):
                return False
            descriptor = -1
        except OSError:
            return False
        try:
            os.rename(path, gone)
        except OSError:
            return False
        finally:
            _close(descriptor)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _is_abandoned(self, path: str) -> bool:
        """Whether a tree without a manifest was begun so long ago that its transfer was cut."""
        with contextlib.suppress(OSError):
            now = time.time()  # noqa: TID251  # what the times of files are
            return now - os.stat(path).st_mtime >= _PARTIAL_SECONDS
        return False

    def _times(self) -> list[tuple[float, str]]:
        """When each tree was used last, and its name."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                if is_tree(entry.name) or _PARTIAL.fullmatch(entry.name):
                    with contextlib.suppress(OSError):
                        found.append((entry.stat(follow_symlinks=False).st_mtime, entry.name))
        return found

    def _open_manifest(self, path: str, flags: int, lock: int) -> int:
        """Open the manifest of a tree, and lock it. Raises OSError."""
        name = os.path.join(path, MANIFEST)
        descriptor = os.open(name, flags | _OPEN_FILE)
        try:
            try:
                fcntl.flock(descriptor, lock)
            except OSError as error:
                if lock & fcntl.LOCK_EX or error.errno == errno.EWOULDBLOCK:
                    raise
            # It may have been deleted before it was locked.
            if os.stat(name, follow_symlinks=False).st_ino != os.fstat(descriptor).st_ino:
                raise FileNotFoundError(name)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _make_root(self) -> None:
        os.makedirs(self.root, 0o700, exist_ok=True)
        self._require_ours()

    def _require_ours(self) -> None:
        status = os.stat(self.root)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise PermissionError(errno.EACCES, "others may write there")


def missing() -> TreeMissing:
    """The error when a tree is not here; its message is for clients that cannot send it."""
    return TreeMissing("the code of the run is not here; start it again with run -d --project")


def _read_manifest(descriptor: int) -> Manifest:
    return Manifest.read(_read(descriptor))


def _read(descriptor: int) -> bytes:
    data = b""
    while len(data) <= MOST_MANIFEST:
        part = os.pread(descriptor, 1 << 22, len(data))
        if not part:
            return data
        data += part
    raise Malformed("the list of files is too long")


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)
