"""Processes below ours: they end with us, and those whose parent is gone become ours."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

# Seconds.
_END_WITHIN = 3.0
# Of <sys/prctl.h>; loaded here, for nothing may be loaded between fork and exec.
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = ctypes.CDLL(None, use_errno=True).prctl


def end_with(parent: int) -> None:
    """Have a child that was just forked get SIGTERM when its parent is gone."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGTERM)  # it was gone before the kernel had been asked


def adopt() -> None:
    """Become the parent of all processes below us whose own is gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _below() -> list[int]:
    """All processes that descend from us. Zombies, too: a process whose first thread has ended is
    one, and its others and its children may live.
    """
    parents: dict[int, list[int]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            # The name before it may have any bytes, also ")".
            parent = file.read().rpartition(b")")[2].split()[1]
            parents.setdefault(int(parent), []).append(int(pid))
    found, left = [], [os.getpid()]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _have_children() -> bool:
    """Whether we have children, once those that have ended are reaped.

    The kernel knows; a walk over /proc misses what forks and ends during it.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end_all_below() -> None:
    """Kill what is left: processes of an mpirun or a daemon that was killed are ours then.

    To be called once nobody asks for the exit code of a child any more: all are reaped.
    """
    limit = time.monotonic() + _END_WITHIN
    while _have_children() and time.monotonic() < limit:
        for pid in _below():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
