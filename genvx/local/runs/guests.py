"""Guests of a run: the processes in its environment that its supervisor has not started.

A guest is a shell that was opened in the run, or a command that was started in it. Guests would
keep the devices after the end of the run. So their terminals show a line at the end; after the
grace of the run they get SIGTERM, and soon after that SIGKILL. A shell that was activated in place
existed before: it only loses the devices, as at the end of the time of its environment.
"""

from __future__ import annotations

import os
import time
from signal import SIGKILL
from typing import TYPE_CHECKING, Optional

from genvx.core import escalation
from genvx.core.leases.environments import environments
from genvx.core.runs.runstate import StopReason
from genvx.local import holders, processes, signals
from genvx.local.running import notices
from genvx.local.running.members import in_place, is_member, members
from genvx.local.running.terminals import write_line
from genvx.local.runs import lock, tree
from genvx.local.runs.treeend import SOON, STUCK
from genvx.local.state.removal import unpublish

if TYPE_CHECKING:
    from collections.abc import Collection
    from signal import Signals
    from typing import Callable

    from genvx.core.escalation import Step
    from genvx.core.leases.lease import Lease
    from genvx.local.machine import Machine
    from genvx.local.runs.record import StopRequest

# A look at /proc is not one moment: a process that forks and ends during it is seen neither itself
# nor by its child. So they count as gone after several looks.
_LOOKS = 3
# The variable that chooses the state directory, where one does.
_STATE = "GENVX_STATE_DIR"
# Seconds between looks at guests before they get SIGTERM.
_LOOK = 0.3


class Guests:
    """The guests of the run that this process supervises.

    lease: the supervisor's own. Processes below this one are no guests. say: appends a line to the
    log.
    """

    def __init__(self, host: Machine, lease: Lease, say: Callable[[str], None]) -> None:
        self._host = host
        self._say = say
        self._own = lease
        (self._env,) = environments((lease,))
        # By id, also those that were released meanwhile: their holders are guests all the same.
        self._leases: dict[str, Lease] = {lease.id: lease}
        self._over: Optional[tuple[str, str]] = None
        self._told: set[int] = set()
        self._met = False
        self._hurried = self._named = False
        self._steps: tuple[Step, ...] = ()
        self._began: Optional[float] = None
        self._before: Optional[float] = None

    def look(self) -> None:
        """Remember the leases of the environment: one that is released by id is not found later."""
        for lease in self._host.store.scan().leases:
            # An older lease is that of the client who starts a gang, and lets go of it by itself.
            if lease.key == self._own.key and lease.since_ns >= self._own.since_ns:
                self._leases[lease.id] = lease

    def are_there(self) -> bool:
        """Whether there is a guest."""
        self.look()
        return bool(self._pids())

    def see_off(self, run: str, how: str, grace: float, stop: Optional[StopRequest]) -> float:
        """Announce the end of the run to the guests; `tend` then ends them. The first call counts.

        run: its name for people. how: how it ended. stop: the request that ends it, if there is
        one; then its grace counts. Returns the most seconds that guests have.
        """
        if self._began is None:
            steps = _steps(grace, stop)
            # At the end of an environment's time, its keepers have shown a line already.
            if stop is None or stop.why is not StopReason.TIME:
                self._over = (run, how)
            self._begin(steps)
            # When a run is stopped, the graces of its guests and of its command begin together.
            if stop is not None:
                self.look()
                self._tell(self._pids())
        return self._steps[-1].after

    def hurry(self, stop: StopRequest) -> None:
        """Shorten the grace of the guests, because the run was asked to stop meanwhile."""
        if not self._hurried and (stop.force or not self._asked):
            self._hurried = True
            self._begin(escalation.politely(0.0 if stop.force else stop.grace))

    def _begin(self, steps: tuple[Step, ...]) -> None:
        self._steps, self._began, self._before = steps, time.monotonic(), None

    def tend(self) -> bool:
        """Take the steps that are due; return whether a guest is left."""
        assert self._began is not None, "see_off comes first"
        self.look()
        elapsed = time.monotonic() - self._began
        # Most runs never had a guest. Then one look is enough: there is nothing to fork.
        looks = _LOOKS if self._met else 1
        found = next(filter(None, (self._pids() for _ in range(looks))), [])
        if not found:
            return False
        self._tell(found)
        for number in escalation.due(self._steps, elapsed, self._before):
            self._signal(found, number)
        self._before = elapsed
        if not self._named and elapsed > self._steps[-1].after + STUCK:
            self._named = True
            stuck = ", ".join(map(str, found))
            self._say(f"SIGKILL does not end these processes: {stuck}; the GPUs stay leased")
        return True

    @property
    def due(self) -> float:
        """Seconds after which `tend` is to be called again."""
        return SOON if self._asked else _LOOK

    @property
    def _asked(self) -> bool:
        return self._before is not None and self._before >= self._steps[0].after

    def dismiss(self) -> None:
        """Take the devices from shells that were activated in place, which live on."""
        self._tell(())
        unpublish(self._host.state, self._in_place())

    def turn_out(self) -> bool:
        """Kill guests that have joined at the last moment; return whether there was any.

        To be called after our own lease is released: without a living lease, no more can join.
        """
        self.look()
        if not self._met and len(self._leases) == 1:
            return False
        found = self._pids()
        self._signal(found, SIGKILL)
        return bool(found)

    def _pids(self) -> list[int]:
        found = list(members(self._env, self._all()))
        if not found:
            return []
        spared = set(tree.descendants(os.getpid()))
        # A run that was started from inside of this one has its variables, and a life of its own.
        for each in lock.living(self._host.state):
            alive = processes.starttime(each.pid) == each.starttime
            if each.pid != os.getpid() and each.owner.uid == self._env.owner.uid and alive:
                spared |= {each.pid, *tree.descendants(each.pid)}
        found = [pid for pid in found if pid not in spared and self._is_here(pid)]
        self._met = self._met or bool(found)
        return found

    def _is_here(self, pid: int) -> bool:
        """Whether a process is of this host, and not of another one that a sandbox simulates: the
        parts of a gang have the same id.
        """
        where = processes.variable_of(pid, _STATE)
        same = where == self._host.environ.get(_STATE, "")
        return same or holders.is_held_by(pid, self._all())

    def _all(self) -> list[Lease]:
        return list(self._leases.values())

    def _in_place(self) -> list[Lease]:
        return [lease for lease in self._all() if in_place(lease)]

    def _signal(self, pids: Collection[int], number: Signals) -> None:
        leases = self._all()
        for pid in pids:
            signals.send(pid, number, lambda pid=pid: is_member(pid, self._env, leases))  # type: ignore[misc]

    def _tell(self, pids: Collection[int]) -> None:
        """Write the line to the terminals of these processes that have not shown it yet."""
        shells = [lease.pid for lease in self._in_place()]
        seen = (processes.describe(pid) for pid in (*pids, *shells))
        terminals = {each.terminal for each in seen if each is not None and each.terminal}
        if self._over is not None and self._began is not None:
            left = self._began + self._steps[0].after - time.monotonic()
            line = notices.run_over(*self._over, left)
            for terminal in terminals - self._told:
                write_line(terminal, self._env.owner.uid, line)
        self._told |= terminals


def _steps(grace: float, stop: Optional[StopRequest]) -> tuple[Step, ...]:
    if stop is None:
        return escalation.after_notice(grace)
    if stop.why is StopReason.TIME:
        return escalation.politely(stop.grace)
    return escalation.after_notice(0.0 if stop.force else stop.grace)
