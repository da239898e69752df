"""The processes of this machine, each with its start time."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """Process is a process; its start time, in clock ticks, distinguishes later users of its pid.

    Without it, `down` could kill a stranger with the same pid.
    """

    pid: int
    starttime: int


def table() -> dict[int, tuple[int, Process]]:
    """Return each process in /proc that is no zombie, by pid, with the pid of its parent."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            # The name of a program is in parentheses and may contain any character, so the fields
            # are counted from the last parenthesis.
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    after = file.read().rpartition(b")")[2].split()
                if after[0] not in (b"Z", b"X"):
                    found[int(name)] = (int(after[1]), Process(int(name), int(after[19])))
            except (OSError, ValueError, IndexError):
                continue
    return found


def identify(pid: int) -> Process | None:
    """Return the process that has this pid now; None if there is none."""
    entry = table().get(pid)
    return None if entry is None else entry[1]


def alive(process: Process) -> bool:
    """Return whether a process still runs."""
    return identify(process.pid) == process
