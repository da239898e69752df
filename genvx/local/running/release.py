"""Ends an environment on request, and its processes if that is requested, too.

Its processes are those of its owner that hold one of its leases or were started in it. A job's
child without the lease's descriptor, such as a worker of Python's multiprocessing, uses the GPUs as
well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.escalation import GRACE
from genvx.core.leases.environments import environments
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.local import holders, processes, signals
from genvx.local.running import ending
from genvx.local.running.members import is_member, members
from genvx.local.running.terminals import write_line
from genvx.local.state.removal import unpublish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from signal import Signals

    from genvx.core.leases.environment import Environment
    from genvx.core.leases.lease import Lease
    from genvx.local.state.store import LeaseStore

# Seconds. A process that SIGKILL does not end waits for a driver or a disk.
_LAST = 3.0
# A look at /proc is not one moment: a process that forks and ends during it is seen neither itself
# nor by its child. So an environment counts as empty after several looks.
_LOOKS = 3


def release(
    store: LeaseStore,
    environment: str,
    uid: int,
    *,
    kill: bool,
    grace: float = GRACE,
    line: str = "",
) -> Environment:
    """Delete an environment's leases, and return the environment as it was.

    With `kill` its processes are ended first: TERM, and KILL after `grace` seconds. The `holders`
    of the result are then those that still live. A shell that was activated in place is not one of
    its processes, and lives on; nor are we. uid: ours; if the owner is another user, a line on
    their terminals says what was done. line: what the terminals of its own processes are shown
    first.

    Raises:
        UnknownEnvironment: there is none, or the name fits several. NotOwner: it is another user's.
    """
    leases = store.releasable(environment)
    env = environments(leases)[0]
    if uid != env.owner.uid:
        _tell_owner(env, leases, kill=kill)
    elif line:
        _tell_inside(env, leases, line)
    if kill:
        _end(env, leases, grace)
        # A process may have joined while the environment was being ended. Its lease ends, too, or
        # it would keep the devices.
        joined = {lease.id: lease for lease in store.scan().leases if lease.key == _key(env)}
        leases = tuple({**{lease.id: lease for lease in leases}, **joined}.values())
        left = holders.with_holders(leases, store, uid)
        env = replace(env, holders=environments(left)[0].holders)
    unpublish(store.state, leases)
    return env


def _key(env: Environment) -> tuple[int, str]:
    return (env.owner.uid, env.id)


def _end(env: Environment, leases: Sequence[Lease], grace: float) -> None:
    def send(number: Signals) -> None:
        for pid in members(env, leases):
            _signal(pid, env, leases, number)

    def remain() -> bool:
        return any(True for _ in range(_LOOKS) for _ in members(env, leases))

    ending.end(send, remain, patience=_LAST, grace=grace)


def _signal(pid: int, env: Environment, leases: Sequence[Lease], number: Signals) -> None:
    """Send a signal to a process if it belongs to the environment at that moment."""
    signals.send(pid, number, lambda: is_member(pid, env, leases))


def _tell_inside(env: Environment, leases: Sequence[Lease], line: str) -> None:
    described = [processes.describe(pid) for pid in members(env, leases)]
    for terminal in {each.terminal for each in described if each is not None and each.terminal}:
        write_line(terminal, env.owner.uid, line)


def _tell_owner(env: Environment, leases: Sequence[Lease], *, kill: bool) -> None:
    """Say what is done on the terminals of an environment's processes, else on its owner's."""
    own = [process for pid in processes.pids() if (process := processes.describe(pid))]
    own = [process for process in own if process.uid == env.owner.uid and process.terminal]
    within = [process for process in own if is_member(process.pid, env, leases)]
    then = " and ends its processes" if kill else "; end its processes"
    label = printable(env.label, 100)
    line = f"genvx: root has released the environment {label}{then}"
    for terminal in {process.terminal for process in within or own}:
        write_line(terminal, env.owner.uid, line)
