"""What is seen of clusters from outside."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tests.helpers import held_on_hosts, until


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


def nothing_is_left(token: str) -> None:
    """The cluster of a test ends by itself, with all that has its token."""
    try:
        until(lambda: not held_on_hosts(), "the leases end", patience=90)
        until(lambda: not _left(token), "all processes end", patience=90)
    except AssertionError as error:
        raise AssertionError(f"{error}; alive: {_left(token)}") from None


def _left(token: str) -> list[str]:
    found = []
    for pid in processes_with("GENVX_TEST_TOKEN", token):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            found.append(f"{pid} {' '.join(words)[:100]}")
    return found
