"""The copy of a project that a worker writes for itself; it is sent as text, as worker.py is.

A host gets the project once from an executor: its first worker there keeps what came in a file, and
all make their copies of that.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PARCEL = ".project"
# Where a file system has no locks, nothing is taken for left, either.
_TRIES = 10


def _mark() -> str:
    return f"genvx-worker-{os.getuid()}-"


def parcel_of(token: str, size: int) -> tuple[str, int]:
    """Return the path of the file in which the workers of an executor share its project, and a
    descriptor on which it is locked: for us alone if it is not complete, and so is ours to write.
    """
    path = os.path.join(tempfile.gettempdir(), f"{_mark()}{token}{_PARCEL}")
    try:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            descriptor = os.open(path, flags, 0o600)
            # Those that have it read it as long as they live; one that writes it is waited for.
            for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
                fcntl.flock(descriptor, kind)
                status = os.fstat(descriptor)
                if status.st_size == size:
                    break
            if status.st_uid != os.getuid() or not stat.S_ISREG(status.st_mode):
                raise OSError
            if _is_at(path, descriptor):
                return path, descriptor
            os.close(descriptor)  # its last worker has just deleted it
    except OSError:
        # Nobody else gets this one, and it ends with us; the project is sent once more.
        descriptor, path = tempfile.mkstemp(prefix=_mark())
        os.unlink(path)
        return path, descriptor


def _is_at(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except OSError:
        return False


def delete_if_left(path: str, descriptor: int) -> None:
    """Delete a shared file, of which we have a descriptor, if no other worker has it."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(path, descriptor):
            os.unlink(path)


def own_directory() -> str:
    """Make a directory for a copy of a project, and delete those of workers that were killed.

    A worker has a lock on its own until it ends.
    """
    base, mark = tempfile.gettempdir(), _mark()
    for name in os.listdir(base):
        left = os.path.join(base, name)
        if name.startswith(mark) and name.endswith(_PARCEL):
            with contextlib.suppress(OSError):
                descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                delete_if_left(left, descriptor)
                os.close(descriptor)
        lock = lock_of(left) if name.startswith(mark) else None
        if lock is not None:
            # Directories may be too deep in one another for Python before 3.13; what is left then
            # is in nobody's way.
            with contextlib.suppress(RecursionError):
                shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    directory = ""
    for _ in range(_TRIES):
        directory = tempfile.mkdtemp(prefix=mark)
        # Another worker may have taken it for one that was left, and delete it.
        if lock_of(directory) is not None and os.path.isdir(directory):
            break
    return directory


def delete_after_us(directory: str, path: str, descriptor: int) -> None:
    """Have a process delete our copy once we have ended, however that happens, and the shared file
    if nobody else has it.

    It is no child of ours, so a function that waits for its own children does not wait for it.
    """
    read, _ = os.pipe()  # whose other end the kernel closes at our end
    child = os.fork()
    if child:
        os.close(read)
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            # Who ends all processes of our environment ends us, too, and that is what it waits for.
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            os.chdir("/")
            for place, each in enumerate([_above(read), _above(descriptor)]):
                os.dup2(each, place)
            os.closerange(2, 65536)
            os.read(0, 1)
            shutil.rmtree(directory, ignore_errors=True)
            delete_if_left(path, 1)
    finally:
        os._exit(0)


def _above(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3)


def lock_of(directory: str) -> int | None:
    """Lock a directory of ours; None if another process has the lock."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
    except OSError:
        pass  # it is in use
    os.close(descriptor)
    return None


def write_files(
    read: Callable[[], tuple[bytes, bytearray, list[bytearray]]],
    root: bytes,
    entries: list[list[Any]],
    bodies: int,
) -> None:
    """Write a tree into an empty directory. read: reads a frame with content of its files."""
    names = [os.path.join(root, row[0].encode("utf-8", "surrogateescape")) for row in entries]
    for name, row in zip(names, entries, strict=True):
        if row[1] == "d":
            os.mkdir(name, 0o700)
        elif row[1] == "f":
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    for _ in range(bodies):
        _, places, (content,) = read()
        for index, at in json.loads(places):
            with open(names[index], "r+b") as file:
                file.seek(at)
                file.write(content)
    # What is in a directory comes before it: it changes the directory's time.
    for name, row in reversed(list(zip(names, entries, strict=True))):
        _, kind, mode, mtime_ns, size, target = row
        if kind == "l":
            os.symlink(target.encode("utf-8", "surrogateescape"), name)
            continue
        if kind == "f":
            os.truncate(name, size)
        os.chmod(name, mode | (0o700 if kind == "d" else 0o600))
        os.utime(name, ns=(mtime_ns, mtime_ns))
