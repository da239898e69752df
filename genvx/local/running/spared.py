"""A process that is left alive when the time of its environment is over."""

from __future__ import annotations

import contextlib
import os

from genvx.core.value import value


@value
class _Stat:
    """The state of a process from the kernel; starttime is 0 if it is gone."""

    state: str
    parent: int
    starttime: int


def stat_of(pid: int) -> _Stat:
    """Return the state of a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command in parentheses may hold spaces and parentheses itself.
            words = file.read(4096).rpartition(b")")[2].split()
        return _Stat(words[0].decode(), int(words[1]), int(words[19]))
    except (OSError, ValueError, IndexError):
        return _Stat("", 0, 0)


@value
class Spared:
    """A process that is left alive. supervises: whether it ends its command itself. whole: and all
    else that holds its lease.
    """

    pid: int
    starttime: int
    supervises: bool
    whole: bool = False

    def is_one(self, pid: int) -> bool:
        """Whether a pid is this process's, and of no later one."""
        return pid == self.pid and stat_of(pid).starttime == self.starttime

    def supervises_now(self) -> bool:
        """Whether it supervises, runs, and is not stopped."""
        now = stat_of(self.pid)
        running = now.starttime == self.starttime and now.state not in "TtZX"
        return self.supervises and running

    def ends_itself(self, pid: int) -> bool:
        """Whether a process is its command, or in the process group of that command, or else what
        it ends.
        """
        if self.whole:
            return True
        with contextlib.suppress(OSError):
            group = os.getpgid(pid)
            in_group = group != os.getpgid(self.pid) and stat_of(group).parent == self.pid
            return in_group or stat_of(pid).parent == self.pid
        return False
