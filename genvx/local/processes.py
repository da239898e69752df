"""What the kernel says about this boot, about users and about processes.

Pids are for people to read: whether a lease lives never depends on one.
"""

from __future__ import annotations

import functools
import os
import pwd
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.claim import Owner
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator
# The inode of the first time namespace (PROC_TIME_INIT_INO).
_FIRST_TIME_NAMESPACE = 0xEFFFFFFA


def boot_id() -> str:
    """Return the kernel's id of this boot; empty if /proc does not say."""
    # Read once: no process lives through two boots.
    if not _known_boot:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                _known_boot.append(file.read(64).strip())
        except OSError:
            return ""
    return _known_boot[0]


_known_boot: list[str] = []


def boottime_ns() -> int:
    """Return nanoseconds since boot, suspended time included. Unlike the wall clock it never jumps.

    All processes of the machine get the same time, also those in a time namespace, whose clocks
    differ.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - _clock_offset_ns()


@functools.lru_cache(maxsize=1)
def _clock_offset_ns() -> int:
    """How far the clock of our time namespace is ahead of the machine's.

    Without it, we would compare times in files by another clock than they were written by, and root
    would delete reservations that are not over.
    """
    try:
        if os.stat("/proc/self/ns/time").st_ino == _FIRST_TIME_NAMESPACE:
            return 0
        with open("/proc/self/timens_offsets", encoding="ascii") as file:
            words = [line.split() for line in file]
    except OSError:
        return 0  # a kernel without such namespaces, or no /proc
    for clock, seconds, nanoseconds in words:
        if clock in ("boottime", str(time.CLOCK_BOOTTIME)):
            return int(seconds) * 10**9 + int(nanoseconds)
    return 0


def owner_of(uid: int) -> Owner:
    """Return the user of a uid; a uid without a name is shown as a number."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Owner(uid, printable(name, 64))


def environment_of(pid: int) -> Optional[str]:
    """Return the id of the environment in which a process of our own was started.

    Empty if it was started in none; None if that cannot be determined.
    """
    return variable_of(pid, "GENVX_ENVIRONMENT_ID")


def variable_of(pid: int, name: str) -> Optional[str]:
    """Return a variable with which a process of our own was started; empty if it had none of that
    name, None if that cannot be determined.
    """
    try:
        # The kernel shows the variables with which the process was started; it keeps no later
        # changes. So a shell that was activated in place is not found by them.
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read(1 << 20).split(b"\0")
    except OSError:
        return None
    head = name.encode() + b"="
    return next(
        (w[len(head) :].decode("ascii", "replace") for w in words if w.startswith(head)), ""
    )


def pids() -> Iterator[int]:
    """Return the pids of the processes that exist just now."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


@value
class Process:
    """A process as /proc shows it.

    starttime: clock ticks since boot. uid: the real uid. state: the letter that ps shows. name:
    what it calls itself, 15 characters at most. terminal: the device number of its terminal, or 0.
    """

    pid: int
    uid: int
    starttime: int
    command: str
    state: str = "?"
    name: str = ""
    terminal: int = 0

    @property
    def since_ns(self) -> int:
        """When the process was started, in nanoseconds since boot."""
        return self.starttime * 10**9 // os.sysconf("SC_CLK_TCK")

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it."""
        return self.state in "Tt"


def call_ourselves(name: str) -> None:
    """Set the name that ps and top show for us; 15 characters at most."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        pass


def starttime(pid: int) -> int:
    """Return when a process was started, in clock ticks since boot; 0 if unknown."""
    return _our_starttime(pid) if pid == os.getpid() else _starttime(pid)


def _starttime(pid: int) -> int:
    described = describe(pid)
    return described.starttime if described else 0


_our_starttime = functools.lru_cache(maxsize=1)(_starttime)


def describe(pid: int) -> Optional[Process]:
    """Return what /proc shows of a living process; None if there is none, or we may not see it."""
    base = f"/proc/{pid}"
    try:
        with open(f"{base}/status", "rb") as file:
            status = file.read(16384)
        with open(f"{base}/stat", "rb") as file:
            # The command is in parentheses, and may contain spaces and parentheses itself: a
            # process could choose a name that shifts the fields. So split after the last one.
            after = file.read(4096).rpartition(b")")[2].split()
        with open(f"{base}/cmdline", "rb") as file:
            words = file.read(4096).rstrip(b"\0").split(b"\0")
        uid = next(int(line.split()[1]) for line in status.splitlines() if line.startswith(b"Uid:"))
        starttime = int(after[19])
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    name = next(
        (line[5:].strip() for line in status.splitlines() if line.startswith(b"Name:")), b""
    )
    # Kernel threads and zombies have no command line; ps shows their name in brackets as well.
    command = b" ".join(words) if words != [b""] else b"[" + name + b"]"
    return Process(
        pid,
        uid,
        starttime,
        printable(command.decode("utf-8", "replace"), COMMAND_LIMIT),
        after[0].decode("ascii", "replace"),
        printable(name.decode("utf-8", "replace"), 15),
        int(after[4]),
    )
