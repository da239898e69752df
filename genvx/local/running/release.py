"""The end of an environment that somebody asks for, with its processes if they ask for that, too.

Its processes are those of its owner that hold one of its leases or were started in it: what a job
starts without the lease's descriptor, such as a worker of Python's, uses the GPUs as well.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from genvx.core.lease import Part, environments
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.local import holders, processes
from genvx.local.running import ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from signal import Signals

    from genvx.core.lease import Environment, Lease
    from genvx.local.state.store import LeaseStore

# What does not end by SIGKILL waits for a driver or a disk.
_LAST = 3.0

_SHELLS = ("bash", "zsh", "fish", "tcsh", "sh")


def release(store: LeaseStore, environment: str, uid: int, *, kill: bool) -> Environment:
    """Unpublish an environment's leases, and return it as it was; with `kill` its holders are those
    that live on.

    kill: first end its processes: TERM, and KILL to those that are there 10 s later. A shell that
    was activated in place is no process of it, and lives on; nor are we. uid: ours; an owner who
    is somebody else is told on their terminals.

    Raises:
        UnknownEnvironment: there is none, or the name fits several. NotOwner: it is another user's.
    """
    leases = store.releasable(environment)
    env = environments(leases)[0]
    if uid != env.owner.uid:
        _tell_owner(env, leases, kill=kill)
    if kill:
        _end(env, leases)
        # What a process has joined while it was being ended ends, too.
        joined = {lease.id: lease for lease in store.scan().leases if lease.key == _key(env)}
        leases = tuple({**{lease.id: lease for lease in leases}, **joined}.values())
        left = holders.with_holders(leases, store, uid)
        env = replace(env, holders=environments(left)[0].holders)
    store.unpublish(leases)
    return env


def _key(env: Environment) -> tuple[int, str]:
    return (env.owner.uid, env.id)


def _end(env: Environment, leases: Sequence[Lease]) -> None:
    def send(number: Signals) -> None:
        for pid in _members(env, leases):
            _signal(pid, env, leases, number)

    ending.end(send, lambda: any(True for _ in _members(env, leases)), patience=_LAST)


def _members(env: Environment, leases: Sequence[Lease]) -> Iterator[int]:
    """The living processes of an environment, but for us and for shells activated in place."""
    spared = {lease.pid for lease in leases if _is_in_place(lease)} | {os.getpid()}
    for pid in processes.pids():
        if pid not in spared and _is_member(pid, env, leases):
            yield pid


def _is_member(pid: int, env: Environment, leases: Sequence[Lease]) -> bool:
    if processes.environment_of(pid) != env.id and not holders.is_held_by(pid, leases):
        return False
    # Of its owner only: to hold a lease, a process of somebody else must have been given it.
    process = processes.describe(pid)
    return process is not None and process.uid == env.owner.uid and process.state not in "ZX"


def _is_in_place(lease: Lease) -> bool:
    """Whether a lease was taken by a shell that was there before its environment."""
    if lease.part is not Part.HELD or lease.command not in _SHELLS:
        return False
    began = processes.starttime(lease.pid) == lease.starttime
    return began and processes.environment_of(lease.pid) not in (None, lease.environment)


def _signal(pid: int, env: Environment, leases: Sequence[Lease], number: Signals) -> None:
    """Send a signal to a process if it is one of the environment's just then."""
    processes.send(pid, number, lambda: _is_member(pid, env, leases))


# The owner's terminals


def _tell_owner(env: Environment, leases: Sequence[Lease], *, kill: bool) -> None:
    """Say on the terminals of an environment's processes, or else of its owner's, what is done."""
    own = [process for pid in processes.pids() if (process := processes.describe(pid))]
    own = [process for process in own if process.uid == env.owner.uid and process.terminal]
    within = [process for process in own if _is_member(process.pid, env, leases)]
    then = " and ends its processes" if kill else "; end its processes"
    label = printable(env.label, 100)
    line = f"genvx: root has released the environment {label}{then}"
    for terminal in {process.terminal for process in within or own}:
        _write(terminal, env.owner.uid, line)


def _write(terminal: int, uid: int, line: str) -> None:
    """Write a line to a terminal of a user's, named by its device number."""
    major, minor = os.major(terminal), os.minor(terminal)
    if 136 <= major <= 143:
        path = f"/dev/pts/{(major - 136) * 256 + minor}"
    elif major == 4 and minor < 64:
        path = f"/dev/tty{minor}"
    else:
        return
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            # The number may be another's by now, or mean something else in a container.
            if stat.S_ISCHR(status.st_mode) and (status.st_rdev, status.st_uid) == (terminal, uid):
                os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)
