"""The end of an environment's time: a warning, then TERM, then KILL.

What genvx runs as a parent it ends itself (supervise.py). A shell that it has become has no parent
of ours: a small process apart keeps its time, holds nothing of the lease, and ends with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.units import format_duration
from genvx.local import locks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Callable

_NOTICE = 300.0
GRACE = 10.0
_LOOK = 1.0


def notice(seconds: float) -> float:
    """How long before the end it is told, in an environment that lasts `seconds`: five minutes; of
    a short one, the last tenth.
    """
    return min(_NOTICE, seconds / 10)


def warning(left: float) -> str:
    return f"genvx: this environment ends in {format_duration(max(1.0, round(left)))}"


def keep(descriptor: int, seconds: float, *, spare: Optional[int] = None) -> None:
    """End whatever holds a lease after so many seconds, in a process of its own.

    descriptor: of the lease's file; our own copy stays open, the process's is closed. spare: a
    process that is left alive: the lease is released then, which it sees by itself.
    """
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    status = os.fstat(descriptor)
    terminal = _terminal()
    file = (status.st_dev, status.st_ino)
    apart(lambda: _keep(path, file, seconds, terminal, spare))


def apart(work: Callable[[], None], keep: Sequence[int] = ()) -> None:
    """Do something in a process of its own, which has no terminal, and of ours only these
    descriptors.
    """
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _close_all(keep)
                work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _terminal() -> Optional[str]:
    for number in range(3):
        with contextlib.suppress(OSError):
            return os.ttyname(number)
    return None


def _close_all(keep: Sequence[int]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    first = 3
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, 65536)


def _keep(
    path: str,
    file: tuple[int, int],
    seconds: float,
    terminal: Optional[str],
    spare: Optional[int],
) -> None:
    end = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    warn: Optional[float] = end - notice(seconds)
    while (now := time.clock_gettime(time.CLOCK_BOOTTIME)) < end:
        if not is_held(path, file):
            return
        if warn is not None and now >= warn:
            warn = None
            _tell(terminal, warning(end - now))
        time.sleep(min(_LOOK, max(0.0, (warn or end) - now)))
    _tell(terminal, "genvx: the time of this environment is over")
    # A shell with a person at it ignores TERM, and leaves at HUP.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT):
        _signal(file, number, spare)
    give_up = time.monotonic() + GRACE
    while set(_holders(file)) - {spare} if spare else is_held(path, file):
        # Until nobody has it: a holder may start another just while we look.
        if time.monotonic() >= give_up:
            _signal(file, signal.SIGKILL, spare)
        time.sleep(0.2)
    if spare is not None and is_held(path, file):
        with contextlib.suppress(OSError):
            os.unlink(path)


def is_held(path: str, file: tuple[int, int]) -> bool:
    """Whether somebody holds the lease that was in a file, and nobody has released it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # released
    try:
        status = os.fstat(descriptor)
        return (status.st_dev, status.st_ino) == file and locks.is_held(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)


def _tell(terminal: Optional[str], line: str) -> None:
    if terminal is None:
        return
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(terminal, flags)
        try:
            os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)


def _holders(file: tuple[int, int]) -> Iterator[int]:
    """The processes of our user that have the lease's file open for writing, as holders do.

    Whoever only reads it is none: somebody who looks, or whom an enemy has made open it.
    """
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{entry}").st_uid != os.geteuid():
                continue
            for number in os.listdir(f"/proc/{entry}/fd"):
                with contextlib.suppress(OSError):
                    path = f"/proc/{entry}/fd/{number}"
                    status = os.stat(path)
                    writes = os.lstat(path).st_mode & stat.S_IWUSR
                    if writes and (status.st_dev, status.st_ino) == file:
                        yield int(entry)
                        break


def _signal(file: tuple[int, int], number: signal.Signals, spare: Optional[int]) -> None:
    for pid in _holders(file):
        if pid == spare:
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
