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


def end_with_us() -> None:
    """Have a child, between fork and exec, get SIGTERM when we are gone."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def adopt() -> None:
    """Become the parent of all processes below us whose own is gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _below() -> list[int]:
    """All processes that descend from us."""
    parents: dict[int, list[int]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            # The name before it may have any bytes, also ")".
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            if state != b"Z":
                parents.setdefault(int(parent), []).append(int(pid))
    found, left = [], [os.getpid()]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def end_all_below() -> None:
    """Kill what is left: processes of an mpirun or a daemon that was killed are ours then."""
    limit = time.monotonic() + _END_WITHIN
    while time.monotonic() < limit:
        pids = _below()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
