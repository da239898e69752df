"""The child process that asks NVML, and is abandoned when it hangs."""

from __future__ import annotations

import os
import signal
import sys
from typing import Optional

from genvx.local import fresh
from genvx.local.devices import nvml

# Children that were killed but may still be blocked in the kernel. Kept to be reaped later: a long
# program would otherwise collect zombies.
_abandoned: list[int] = []


def bury() -> None:
    """Reap abandoned children that have died; never wait for one that has not."""
    for pid in list(_abandoned):
        try:
            done = os.waitpid(pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            done = True
        if done:
            _abandoned.remove(pid)


def abandoned() -> frozenset[int]:
    """Return the pids of children that were killed and have not ended yet."""
    bury()
    return frozenset(_abandoned)


def start_child(
    answered: frozenset[int] = frozenset(),
    blamed: frozenset[int] = frozenset(),
    only: Optional[frozenset[int]] = None,
    *,
    sensors: bool = False,
) -> tuple[int, int]:
    """Start a child that asks for all other devices, or for `only` some of them; return its pid,
    and a pipe with its lines.
    """
    read, write = os.pipe()
    try:
        if len(os.listdir("/proc/self/task")) == 1:
            pid = _fork_child(write, answered, blamed, only, sensors)
        else:
            # Other threads may hold locks, of the C library or the import system, which a fork
            # would copy as locked for ever. A fresh interpreter has none.
            pid = _spawn_child(write, answered, blamed, only, sensors)
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return pid, read


def _fork_child(
    write: int,
    answered: frozenset[int],
    blamed: frozenset[int],
    only: Optional[frozenset[int]],
    sensors: bool,
) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        # The child may hang for ever, so no descriptor of the parent may stay open in it: a lease
        # would never become free, and a reader of a pipe would never see its end.
        high = os.dup2(write, 3)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        os.closerange(high + 1, 65536)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nvml.report(high, answered, blamed, only, sensors=sensors)
    finally:
        os._exit(0)


def _spawn_child(
    write: int,
    answered: frozenset[int],
    blamed: frozenset[int],
    only: Optional[frozenset[int]],
    sensors: bool,
) -> int:
    code = (
        "from genvx.local.devices import nvml; "
        f"nvml.report(1, {answered!r}, {blamed!r}, {only!r}, sensors={sensors!r})"
    )
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            fresh.command(code),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, null, 0),
                (os.POSIX_SPAWN_DUP2, write, 1),
                (os.POSIX_SPAWN_DUP2, null, 2),
            ],
        )
    finally:
        os.close(null)
