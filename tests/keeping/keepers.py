"""Keepers of a test, and their processes."""

import contextlib
import os
from pathlib import Path

from genvx.keeping import asking, starting
from genvx.sandbox import record
from tests.helpers import alive, until


def pids() -> list[int]:
    """The keepers of this test."""
    with contextlib.suppress(OSError):
        return [said["pid"] for said in asking.tell(os.environ, "status") if said is not None]
    return []


def start() -> int:
    # A second one would take over in the moment in which the first is killed.
    if not pids():
        starting.start(os.environ)
    (pid,) = until(pids, "a keeper")
    return pid


def kept() -> list[str]:
    """The hosts to which there is a connection."""
    return [name for said in asking.tell(os.environ, "status") for name in said["hosts"]]


def agents(sandbox: record.Sandbox) -> list[int]:
    """The agents that stay on hosts."""
    return processes(f"{sandbox.directory}/bin/python3")


def processes(words: str) -> list[int]:
    """The processes with these words in their command."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and words.encode() in Path(f"/proc/{name}/cmdline").read_bytes():
                found.append(int(name))
    return [pid for pid in found if alive(pid)]
