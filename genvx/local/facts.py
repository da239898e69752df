"""Facts about this machine that are the same for all its processes."""

from __future__ import annotations

import os
from typing import Optional

from genvx.core.text import printable

# The inode of the first pid namespace (PROC_PID_INIT_INO in the kernel). In any other we are in a
# container, where pids differ from those that the driver reports.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC


def machine_id() -> str:
    """The id of this machine; its name where it has none. Several machines may share a home."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                found = printable(file.read(64).strip(), 64)
        except OSError:
            continue
        if found:
            return found
    return printable(os.uname().nodename, 64)


def hostname() -> str:
    """Return the name of this machine, made printable."""
    return printable(os.uname().nodename, 255)


def in_container() -> bool:
    """Whether a driver may report pids of another pid namespace than ours."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino != _FIRST_PID_NAMESPACE
    except OSError:
        return True


def system_memory() -> tuple[Optional[int], Optional[int]]:
    """Return this machine's memory in bytes, and what is in use; None if /proc does not say."""
    found: dict[str, int] = {}
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                found[name] = int(rest.split()[0]) << 10
        return found["MemTotal"], found["MemTotal"] - found["MemAvailable"]
    except (OSError, ValueError, LookupError):
        return None, None
