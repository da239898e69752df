"""The virtual environments of one user on one machine, or in a directory that machines share.

    ENVS/<32 hex>/                a virtual environment, made in place: it cannot be moved
                  genvx.json      written last; without it the environment is not complete
                  needs/, tmp/    while it is made: what is installed, and files of pip's
    ENVS/<32 hex>.lock            held alone by the run that makes it, and together by those that
                                  use it
    ENVS/<32 hex>.failed          why it could not be made the last time
    ENVS/.gone.<8 hex>/           one that is being deleted

The lock decides, so an environment is made once, however many runs ask for it at once, and stays as
long as a run uses it. The time of genvx.json is that of its last use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from genvx.core.text import printable
from genvx.errors import StateError
from genvx.local.diskerror import disk_error
from genvx.local.trees.store import cache_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.projects.python import Python
    from genvx.local.python.interpreter import Interpreter

MARKER = "genvx.json"
NEEDS, TEMPORARY = "needs", "tmp"
# Changed when what is made of the same needs becomes another environment.
_VERSION = 1
_NAME = re.compile(r"[0-9a-f]{32}")
_GONE = re.compile(r"\.gone\.[0-9a-f]{8}")
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_BYTES = 1 << 16
UNUSED_SECONDS = 30 * 86400.0


def environments_root(environ: Mapping[str, str]) -> str:
    """The directory of a user's environments: beside that of their trees."""
    runs = environ.get("GENVX_RUNS_DIR", "")
    if runs:
        return os.path.join(os.path.abspath(os.path.expanduser(runs)), ".envs")
    return os.path.join(cache_root(environ), "envs")


def name_of(python: Python, interpreter: Interpreter) -> str:
    """The name of the environment that a run needs."""
    from hashlib import blake2b

    words = [_VERSION, python.needs, python.prerelease, python.offline, *interpreter.key]
    return blake2b(json.dumps(words).encode(), digest_size=16).hexdigest()


class Kept(NamedTuple):
    """An environment on the disk. idle: seconds since it was used. size: bytes of its files."""

    name: str
    idle: float
    size: int


class Environments:
    """All environments in a directory."""

    def __init__(self, root: str) -> None:
        self.root = root

    def is_complete(self, name: str) -> bool:
        """Whether an environment can be used."""
        path = os.path.join(self.root, name)
        # The interpreter of which it was made may have been removed since.
        return os.path.isfile(os.path.join(path, MARKER)) and os.access(
            os.path.join(path, "bin", "python"), os.X_OK
        )

    def open(self, name: str) -> Environment:
        """Open an environment, which need not be there.

        Raises:
            StateError: its lock cannot be made.
        """
        try:
            os.makedirs(self.root, 0o700, exist_ok=True)
            status = os.stat(self.root)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise PermissionError(errno.EACCES, "others may write there")
        except OSError as error:
            raise disk_error(error, f"write to {self.root}") from None
        return Environment(self, name)

    def clean(
        self, unused: float = UNUSED_SECONDS, *, only_say: bool = False
    ) -> tuple[list[Kept], list[Kept]]:
        """Delete what no run has used for so many seconds and none uses now, and what was only half
        made; return what was deleted, and what stays. only_say: delete nothing.
        """
        gone: list[Kept] = []
        stays: list[Kept] = []
        for kept in self._kept():
            goes = (kept.idle >= unused or not self.is_complete(kept.name)) and self._delete(
                kept.name, only_say=only_say
            )
            (gone if goes else stays).append(kept)
        if not only_say:
            self._sweep()
        return gone, stays

    def _sweep(self) -> None:
        """Delete what was being deleted, and the locks of environments that are not there."""
        with contextlib.suppress(OSError):
            names = set(os.listdir(self.root))
            for name in names:
                if _GONE.fullmatch(name):
                    shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
                elif name.endswith(".lock") and name[:-5] not in names:
                    self._delete(name[:-5], only_say=False)

    def forget_unused(self) -> None:
        """Delete what was not used for a month, because something new was made."""
        if any(kept.idle >= UNUSED_SECONDS for kept in self._kept()):
            self.clean()

    def _kept(self) -> list[Kept]:
        now = time.time()  # noqa: TID251  # what the times of files are
        found = []
        with contextlib.suppress(OSError), os.scandir(self.root) as entries:
            for entry in entries:
                if not _NAME.fullmatch(entry.name):
                    continue
                marker = os.path.join(entry.path, MARKER)
                with contextlib.suppress(OSError):
                    try:
                        status = os.stat(marker)
                        size = _read(marker).get("size", 0)
                    except FileNotFoundError:
                        status, size = entry.stat(follow_symlinks=False), size_of(entry.path)
                    idle = max(0.0, now - status.st_mtime)
                    found.append(Kept(entry.name, idle, size if type(size) is int else 0))
        return sorted(found, key=lambda kept: -kept.idle)

    def _delete(self, name: str, *, only_say: bool) -> bool:
        try:
            with self.open(name) as environment:
                if not environment.claim():
                    return False
                if not only_say:
                    environment.remove()
                return True
        except (StateError, OSError):
            return False


class Environment:
    """One environment, and the lock that we have of it; as a context."""

    def __init__(self, store: Environments, name: str) -> None:
        self._store = store
        self.name = name
        self.path = os.path.join(store.root, name)
        self._lock_path = f"{self.path}.lock"
        self._failed_path = f"{self.path}.failed"
        self.descriptor = -1

    def __enter__(self) -> Environment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it. A second call does nothing."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def use(self) -> bool:
        """Use it from now on, which keeps it from being deleted; False if it is not complete, or
        somebody makes it. Raises StateError.
        """
        if not self._lock(fcntl.LOCK_SH):
            return False
        if not self._store.is_complete(self.name):
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            return False
        with contextlib.suppress(OSError):  # a home that is read-only now
            os.utime(os.path.join(self.path, MARKER))
        return True

    def claim(self) -> bool:
        """Have it alone, to make or delete it; False if others make or use it. Raises
        StateError.
        """
        return self._lock(fcntl.LOCK_EX)

    def begin(self) -> None:
        """Make room for it, after `claim`: what is left of a try before goes. Raises OSError."""
        self._clear()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._failed_path)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Say that it is complete, and use it from now on. facts: about it, for people. Raises
        OSError.
        """
        for name in (NEEDS, TEMPORARY):
            shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)
        marker = os.path.join(self.path, MARKER)
        data = json.dumps({"v": _VERSION, **facts, "size": size_of(self.path)}).encode()
        with open(os.open(f"{marker}.new", _OPEN | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{marker}.new", marker)

    def fail(self, why: str) -> None:
        """Note why it could not be made, for those who have waited for it; delete what there is."""
        self._clear()
        with contextlib.suppress(OSError):
            # Another file each time, so that it can be told from the one of before.
            new = f"{self._failed_path}.new"
            with open(os.open(new, _OPEN | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(why)
            os.rename(new, self._failed_path)

    def failure(self) -> tuple[object, str]:
        """The last time that it could not be made: something that is different each time, and why;
        None and nothing if it never failed.
        """
        try:
            with open(self._failed_path, encoding="utf-8", errors="replace") as file:
                status = os.fstat(file.fileno())
                return (status.st_ino, status.st_mtime_ns), printable(file.read(_MOST_BYTES), 1000)
        except OSError:
            return None, ""

    def remove(self) -> None:
        """Delete it, with its lock; after `claim`."""
        self._clear()
        for path in (self._failed_path, self._lock_path):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _clear(self) -> None:
        gone = os.path.join(self._store.root, f".gone.{os.urandom(4).hex()}")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path, gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _lock(self, kind: int) -> bool:
        while True:
            try:
                if self.descriptor < 0:
                    self.descriptor = os.open(self._lock_path, _OPEN, 0o600)
                fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno == errno.EWOULDBLOCK:
                    return False
                self.close()
                raise disk_error(error, f"lock {self._lock_path}") from None
            # It may have been deleted before it was locked.
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._lock_path).st_ino == os.fstat(self.descriptor).st_ino:
                    return True
            self.close()


def size_of(path: str) -> int:
    """The bytes of all files below a directory."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total


def _read(path: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError, RecursionError), open(path, "rb") as file:
        found = json.loads(file.read(_MOST_BYTES))
        return found if isinstance(found, dict) else {}
    return {}
