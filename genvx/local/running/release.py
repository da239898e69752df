"""Ends an environment on request, and its processes if that is requested, too.

Its processes are those of its owner that hold one of its leases or were started in it. A job's
child without the lease's descriptor, such as a worker of Python's multiprocessing, uses the GPUs as
well.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from genvx.core.escalation import GRACE
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

# Seconds. A process that SIGKILL does not end waits for a driver or a disk.
_LAST = 3.0
# A look at /proc is not one moment: a process that forks and ends during it is seen neither itself
# nor by its child. So an environment counts as empty after several looks.
_LOOKS = 3

_SHELLS = ("bash", "zsh", "fish", "tcsh", "sh")


def release(
    store: LeaseStore, environment: str, uid: int, *, kill: bool, grace: float = GRACE
) -> Environment:
    """Delete an environment's leases, and return the environment as it was.

    With `kill` its processes are ended first: TERM, and KILL after `grace` seconds. The `holders`
    of the result are then those that still live. A shell that was activated in place is not one of
    its processes, and lives on; nor are we. uid: ours; if the owner is another user, a line on
    their terminals says what was done.

    Raises:
        UnknownEnvironment: there is none, or the name fits several. NotOwner: it is another user's.
    """
    leases = store.releasable(environment)
    env = environments(leases)[0]
    if uid != env.owner.uid:
        _tell_owner(env, leases, kill=kill)
    if kill:
        _end(env, leases, grace)
        # A process may have joined while the environment was being ended. Its lease ends, too, or
        # it would keep the devices.
        joined = {lease.id: lease for lease in store.scan().leases if lease.key == _key(env)}
        leases = tuple({**{lease.id: lease for lease in leases}, **joined}.values())
        left = holders.with_holders(leases, store, uid)
        env = replace(env, holders=environments(left)[0].holders)
    store.unpublish(leases)
    return env


def _key(env: Environment) -> tuple[int, str]:
    return (env.owner.uid, env.id)


def _end(env: Environment, leases: Sequence[Lease], grace: float) -> None:
    def send(number: Signals) -> None:
        for pid in _members(env, leases):
            _signal(pid, env, leases, number)

    def remain() -> bool:
        return any(True for _ in range(_LOOKS) for _ in _members(env, leases))

    ending.end(send, remain, patience=_LAST, grace=grace)


def _members(env: Environment, leases: Sequence[Lease]) -> Iterator[int]:
    """The living processes of an environment, except us and shells activated in place."""
    spared = {lease.pid for lease in leases if _is_in_place(lease)} | {os.getpid()}
    for pid in processes.pids():
        if pid not in spared and _is_member(pid, env, leases):
            yield pid


def _is_member(pid: int, env: Environment, leases: Sequence[Lease]) -> bool:
    if processes.environment_of(pid) != env.id and not holders.is_held_by(pid, leases):
        return False
    # Only of its owner: anybody can be passed a descriptor, and root must not be tricked into
    # ending a service that was.
    process = processes.describe(pid)
    return process is not None and process.uid == env.owner.uid and process.state not in "ZX"


def _is_in_place(lease: Lease) -> bool:
    """Whether a lease was taken by a shell that existed before the environment."""
    if lease.part is not Part.HELD or lease.command not in _SHELLS:
        return False
    # A pid alone may be of another process by now; with its start time it is unique within a boot.
    began = processes.starttime(lease.pid) == lease.starttime
    return began and processes.environment_of(lease.pid) not in (None, lease.environment_id)


def _signal(pid: int, env: Environment, leases: Sequence[Lease], number: Signals) -> None:
    """Send a signal to a process if it belongs to the environment at that moment."""
    processes.send(pid, number, lambda: _is_member(pid, env, leases))


# The owner's terminals


def _tell_owner(env: Environment, leases: Sequence[Lease], *, kill: bool) -> None:
    """Say what is done on the terminals of an environment's processes, else on its owner's."""
    own = [process for pid in processes.pids() if (process := processes.describe(pid))]
    own = [process for process in own if process.uid == env.owner.uid and process.terminal]
    within = [process for process in own if _is_member(process.pid, env, leases)]
    then = " and ends its processes" if kill else "; end its processes"
    label = printable(env.label, 100)
    line = f"genvx: root has released the environment {label}{then}"
    for terminal in {process.terminal for process in within or own}:
        _write(terminal, env.owner.uid, line)


def _write(terminal: int, uid: int, line: str) -> None:
    """Write a line to a user's terminal, given its device number."""
    major, minor = os.major(terminal), os.minor(terminal)
    # The kernel's numbers: 136 to 143 are pseudo terminals, 4 the consoles.
    if 136 <= major <= 143:
        path = f"/dev/pts/{(major - 136) * 256 + minor}"
    elif major == 4 and minor < 64:
        path = f"/dev/tty{minor}"
    else:
        return
    # NOCTTY: it must not become our terminal. NONBLOCK: one that was stopped with Ctrl-S would
    # block us.
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            # The number may be another user's terminal by now, or another one in a container: write
            # only if the number and the owner match.
            if stat.S_ISCHR(status.st_mode) and (status.st_rdev, status.st_uid) == (terminal, uid):
                os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)
