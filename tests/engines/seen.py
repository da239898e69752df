"""What is seen of clusters from outside."""

from __future__ import annotations

import os
from pathlib import Path


def processes_with(name: str, value: str) -> list[int]:
    """The processes that have a variable, whatever they have closed or left; none of ours."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            variables = Path("/proc", pid, "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"{name}={value}".encode() in variables and int(pid) != os.getpid():
            found.append(int(pid))
    return found
