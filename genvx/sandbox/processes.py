"""The processes of a sandbox: its servers, their descendants, and those left in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.escalation import Step, due

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PATIENCE = 5.0
# What a server starts meanwhile is to end as well.
_STEPS = (
    Step(0, (signal.SIGTERM,), again=True),
    Step(_PATIENCE, (signal.SIGHUP,), again=True),
    Step(2 * _PATIENCE, (signal.SIGKILL,), again=True),
)


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


def of_sandbox(servers: Iterable[Process], directory: str) -> set[Process]:
    """Return the living processes of a sandbox, except ourselves and our ancestors.

    Descendants of the servers are found by their parents. A process in the background has init as
    its parent; it is found by the state directory of its host among its variables.
    """
    processes = table()
    members = {
        server.pid for server in servers if processes.get(server.pid, (0, None))[1] == server
    }
    mark = f"GENVX_STATE_DIR={os.path.abspath(directory)}/".encode()
    for pid in processes:
        if pid not in members and _has_mark(pid, mark):
            members.add(pid)
    grew = True
    while grew:
        more = {pid for pid, (parent, _) in processes.items() if parent in members} - members
        members |= more
        grew = bool(more)
    return {processes[pid][1] for pid in members - _ourselves(processes)}


def _has_mark(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"\0" + mark in b"\0" + file.read()
    except OSError:
        return False


def _ourselves(processes: Mapping[int, tuple[int, Process]]) -> set[int]:
    found: set[int] = set()
    pid = os.getpid()
    while pid > 1 and pid not in found and pid in processes:
        found.add(pid)
        pid = processes[pid][0]
    return found


def end(servers: Iterable[Process], directory: str) -> None:
    """End every process of a sandbox: SIGTERM, after 5 s SIGHUP, after 5 more SIGKILL."""
    servers = list(servers)
    # Collected while the servers live. Afterwards the sessions of sshd have init as their parent
    # and could not be found by their variables either: sshd overwrites its environment.
    known = of_sandbox(servers, directory)
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < 3 * _PATIENCE:
        known |= of_sandbox(servers, directory)
        living = {entry for _, entry in table().values()} & known
        if not living:
            break
        for number in due(_STEPS, elapsed):
            for process in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
        time.sleep(0.02)
    for server in servers:
        try:
            os.waitpid(server.pid, os.WNOHANG)
        except ChildProcessError:
            continue  # started by another genvx
