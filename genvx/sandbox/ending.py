"""The end of a sandbox: its servers, their descendants, and what runs in the background."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from genvx.core.escalation import Step, due
from genvx.sandbox.processes import Process, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PATIENCE = 5.0
# What a server starts meanwhile is to end as well.
_STEPS = (
    Step(0, (signal.SIGTERM,), again=True),
    Step(_PATIENCE, (signal.SIGHUP,), again=True),
    Step(2 * _PATIENCE, (signal.SIGKILL,), again=True),
)


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
