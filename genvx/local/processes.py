"""What the kernel says of this boot, of users and of processes.

For people to read: no lease rests on a pid.
"""

from __future__ import annotations

import functools
import os
import pwd
import signal
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.claim import Owner
from genvx.core.text import COMMAND_LIMIT, printable
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

# The inode of the first pid namespace (PROC_PID_INIT_INO); any other means that we are in a
# container.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
# The same of time namespaces.
_FIRST_TIME_NAMESPACE = 0xEFFFFFFA


def boot_id() -> str:
    """The kernel's id of this boot; empty where /proc does not tell. No process sees two boots."""
    if not _known_boot:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                _known_boot.append(file.read(64).strip())
        except OSError:
            return ""
    return _known_boot[0]


_known_boot: list[str] = []


def boottime_ns() -> int:
    """Nanoseconds since boot, suspended time included. Unlike the wall clock it never jumps.

    The same for everybody on the machine, also in a time namespace, whose clocks are set apart.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - _clock_offset_ns()


@functools.lru_cache(maxsize=1)
def _clock_offset_ns() -> int:
    """How far our time namespace's clock is ahead of the machine's.

    Without this, times of others would be judged by another clock than they were written by, and
    root would delete reservations that are not over.
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


def hostname() -> str:
    return printable(os.uname().nodename, 255)


def owner_of(uid: int) -> Owner:
    """The user of a uid; one that has no name is shown by number."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Owner(uid, printable(name, 64))


def in_container() -> bool:
    """Whether the pids that a driver reports may be of another pid namespace than ours."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE
    except OSError:
        return True


def system_memory() -> tuple[Optional[int], Optional[int]]:
    """Bytes of memory that this machine has, and those in use; None where /proc does not tell."""
    found: dict[str, int] = {}
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                found[name] = int(rest.split()[0]) << 10
        return found["MemTotal"], found["MemTotal"] - found["MemAvailable"]
    except (OSError, ValueError, LookupError):
        return None, None


def environment_of(pid: int) -> Optional[str]:
    """The id of the environment in which a process of our own was started; None if that cannot be
    told, empty if in none.
    """
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            words = file.read(1 << 20).split(b"\0")
    except OSError:
        return None
    name = b"GENVX_ENVIRONMENT_ID="
    return next(
        (w[len(name) :].decode("ascii", "replace") for w in words if w.startswith(name)), ""
    )


def pids() -> Iterator[int]:
    """The processes that there are just now."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def send(pid: int, number: signal.Signals, meant: Callable[[], bool]) -> None:
    """Send a signal to a process that we may send one, if `meant` says so once the pid cannot
    become another's; where the kernel has no pidfds (before 5.3), just before.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        process = -1
    try:
        if meant():
            if process >= 0:
                signal.pidfd_send_signal(process, number)
            else:
                os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        if process >= 0:
            os.close(process)


@value
class Process:
    """A process as /proc shows it. starttime: clock ticks since boot; uid: real uid; state: the
    letter that ps shows; name: what it calls itself, 15 characters at most; terminal: the device
    number of the one that it is in, or 0.
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
        """When it was started, in nanoseconds since boot."""
        return self.starttime * 10**9 // os.sysconf("SC_CLK_TCK")

    @property
    def stopped(self) -> bool:
        """Whether a signal or a debugger has stopped it."""
        return self.state in "Tt"


def call_ourselves(name: str) -> None:
    """Take a name for ps and top. name: 15 characters at most."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(name)
    except OSError:
        pass


def starttime(pid: int) -> int:
    """When a process was started, in clock ticks since boot; 0 if that cannot be told."""
    return _our_starttime(pid) if pid == os.getpid() else _starttime(pid)


def _starttime(pid: int) -> int:
    described = describe(pid)
    return described.starttime if described else 0


_our_starttime = functools.lru_cache(maxsize=1)(_starttime)


def describe(pid: int) -> Optional[Process]:
    """Return what /proc tells of a living process; None if there is none, or it may not be seen."""
    base = f"/proc/{pid}"
    try:
        with open(f"{base}/status", "rb") as file:
            status = file.read(16384)
        with open(f"{base}/stat", "rb") as file:
            # The command in parentheses may hold spaces and parentheses itself.
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
