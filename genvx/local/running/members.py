"""The processes of an environment: those that hold one of its leases, or were started in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.leases.lease import Part
from genvx.local import holders, processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.core.leases.environment import Environment
    from genvx.core.leases.lease import Lease

_SHELLS = ("bash", "zsh", "fish", "tcsh", "sh")
# What our own processes call themselves.
_OURS = ("genvx", "python")


def members(env: Environment, leases: Sequence[Lease]) -> Iterator[int]:
    """Yield the living processes of an environment, except us and shells activated in place."""
    spared = {lease.pid for lease in leases if in_place(lease)} | {os.getpid()}
    for pid in processes.pids():
        if pid not in spared and is_member(pid, env, leases):
            yield pid


def is_member(pid: int, env: Environment, leases: Sequence[Lease]) -> bool:
    """Whether a process belongs to an environment and lives."""
    if processes.environment_of(pid) != env.id and not holders.is_held_by(pid, leases):
        return False
    # Only of its owner: anybody can be passed a descriptor, and root must not be tricked into
    # ending a service that was.
    process = processes.describe(pid)
    return process is not None and process.uid == env.owner.uid and process.state not in "ZX"


def in_place(lease: Lease) -> bool:
    """Whether a lease was taken by a shell that existed before the environment."""
    if lease.part is not Part.HELD or lease.command not in _SHELLS:
        return False
    process = processes.describe(lease.pid)
    # A pid alone may be of another process by now; with its start time it is unique within a boot.
    if process is None or process.starttime != lease.starttime:
        return False
    # A process of genvx that has started a shell, such as the supervisor of a run, is no shell.
    if process.name.startswith(_OURS):
        return False
    return processes.environment_of(lease.pid) not in (None, lease.environment_id)
