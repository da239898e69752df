"""The processes below one that is a subreaper: all that it has started, however they were started.

A process whose parent ends comes to the nearest subreaper above it, so a walk over parents finds
also what was double-forked or has a session of its own. They are signalled through pidfds: a pid
that is used again is never hit. Process groups and names would hit too few or too many.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Have the orphans of our descendants come to us."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int, spared: frozenset[int] = frozenset()) -> list[int]:
    """The pids of all living processes below one, zombies left out.

    spared: children that are not counted, with all that is below them.
    """
    children: dict[int, list[int]] = {}
    dead = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    # The command in parentheses may hold spaces and parentheses itself.
                    after = file.read(4096).rpartition(b")")[2].split()
                children.setdefault(int(after[1]), []).append(int(name))
                if after[0] in b"ZX":
                    dead.add(int(name))
    found = []
    below = [root]
    while below:
        for pid in children.get(below.pop(), ()):
            if pid in spared:
                continue
            below.append(pid)
            if pid not in dead:
                found.append(pid)
    return found


def signal_below(root: int, number: signal.Signals, spared: frozenset[int] = frozenset()) -> int:
    """Send a signal to all processes that `descendants` finds; return to how many."""
    count = 0
    for pid in descendants(root, spared):
        with suppress(ProcessLookupError, PermissionError):
            _signal(pid, number)
            count += 1
    return count


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError) as error:
        if isinstance(error, ProcessLookupError):
            raise
        os.kill(pid, number)  # before Linux 5.3
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
