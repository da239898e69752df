"""Digests of files, and a cache of them: an unchanged project costs a look at each file.

A file whose device, inode, size and times are those of before has the same content, unless it was
changed within the same tick of its file system's clock. So digests of files that were changed just
before they were read are not kept: they are read once more, as git does.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import (
    DIGEST_BYTES,
    PIECE,
    count_of_pieces,
    digest_of,
    digests_of,
    pieces,
)
from genvx.local.trees.status import is_sparse
from genvx.local.trees.store import cache_root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

# Some file systems keep times of files in whole seconds, some in two.
_JUST_NS = 3 * 10**9
_MOST_BYTES = 1 << 28
_KEPT_SECONDS = 90 * 86400.0


class Changed(Exception):
    """A file was changed while it was read."""


class HashCache:
    """The digests of the files of one project, as they were last read.

    project: the path of its directory.
    """

    def __init__(self, environ: Mapping[str, str], project: bytes) -> None:
        self._directory = os.path.join(cache_root(environ), "hashes")
        self._path = os.path.join(self._directory, digest_of(project).hex()[:16])
        self._before = self._load()
        self._now: dict[str, str] = {}

    def digests(
        self, descriptor: int, status: os.stat_result, busy: Callable[[], None] = lambda: None
    ) -> tuple[bytes, ...]:
        """The digests of the pieces of a file that is open. busy: called before each piece.

        Raises:
            Changed: it was changed meanwhile, or after `status` was taken. OSError.
        """
        key = _key(status)
        digests = read_digests(descriptor, status, busy=busy)
        # By the clock of this machine and by that of the file system, which may be another one's.
        if max(status.st_mtime_ns, status.st_ctime_ns) < time.time_ns() - _JUST_NS:
            self._now[key] = b"".join(digests).hex()
        return digests

    def known(self, status: os.stat_result) -> tuple[bytes, ...] | None:
        """The digests of a file with this status, if they are known."""
        key = _key(status)
        text = self._now.get(key) or self._before.get(key)
        if text is None:
            return None
        with contextlib.suppress(ValueError, TypeError):
            found = digests_of(text)
            if len(text) == 2 * DIGEST_BYTES * count_of_pieces(status.st_size):
                self._now[key] = text
                return found
        return None

    def save(self) -> None:
        """Keep what is known now for the next time, if that is possible."""
        if self._now == self._before:
            return
        temporary = f"{self._path}.{os.urandom(4).hex()}"
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, 0o700, exist_ok=True)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                with open(os.open(temporary, flags, 0o600), "w", encoding="ascii") as file:
                    json.dump(self._now, file)
                os.rename(temporary, self._path)
                self._forget_others()
            except OSError:
                os.unlink(temporary)
                raise

    def _forget_others(self) -> None:
        """Delete the digests of projects that were not read for long."""
        now = time.time()  # noqa: TID251  # what the times of files are
        with os.scandir(self._directory) as entries:
            for entry in entries:
                if now - entry.stat(follow_symlinks=False).st_mtime > _KEPT_SECONDS:
                    os.unlink(entry.path)

    def _load(self) -> dict[str, str]:
        with contextlib.suppress(OSError, ValueError, RecursionError):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with open(os.open(self._path, flags), "rb") as file:
                # Another user's file could have wrong digests.
                if os.fstat(file.fileno()).st_uid == os.geteuid():
                    found = json.loads(file.read(_MOST_BYTES))
                    return found if isinstance(found, dict) else {}
        return {}


def read_digests(
    descriptor: int,
    status: os.stat_result,
    *,
    grows: bool = False,
    busy: Callable[[], None] = lambda: None,
) -> tuple[bytes, ...]:
    """Read a file that is open; return the digests of its pieces.

    grows: it is a file that is only appended to, and may be longer meanwhile. busy: called before
    each piece.

    Raises:
        Changed: it is not, or no longer, the file of `status`. OSError.
    """
    sparse = is_sparse(status)
    found = []
    for at, length in pieces(status.st_size):
        busy()
        if sparse and length == PIECE and _is_hole(descriptor, at, length):
            found.append(_nothing())
            continue
        content = read_piece(descriptor, at, length)
        found.append(digest_of(content))
    if not grows and _key(os.fstat(descriptor)) != _key(status):
        raise Changed
    return tuple(found)


def read_piece(descriptor: int, at: int, length: int) -> bytes:
    """Read a piece of a file. Raises Changed if the file is shorter, OSError."""
    content = os.pread(descriptor, length, at)
    while len(content) < length:
        more = os.pread(descriptor, length - len(content), at + len(content))
        if not more:
            raise Changed
        content += more
    return content


def _is_hole(descriptor: int, at: int, length: int) -> bool:
    """Whether nothing was ever written to a piece of a file."""
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA) >= at + length
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return True  # no data from there to its end


_known_nothing: list[bytes] = []


def _nothing() -> bytes:
    """The digest of a piece of zeros."""
    if not _known_nothing:
        _known_nothing.append(digest_of(bytes(PIECE)))
    return _known_nothing[0]


def _key(status: os.stat_result) -> str:
    return (
        f"{status.st_dev}:{status.st_ino}:{status.st_size}:"
        f"{status.st_mtime_ns}:{status.st_ctime_ns}"
    )
