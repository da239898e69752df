"""genvx's rules, by genvx's own code; and two others to see them beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.lease import Owner
from genvx.core.placement import Placement, place, rank
from genvx.core.queue import decide, first_offer, nearest
from genvx.core.record import replace
from genvx.core.request import Requirements
from genvx.core.ticket import Ticket

if TYPE_CHECKING:
    from simulation.workload import Job
    from simulation.world import Host, World

_FEW = 16


@dataclass
class _Waiting:
    job: Job
    ticket: Ticket
    keeping: Ticket
    keeper: Host


class Genvx:
    """Whoever finds room takes the best; others wait in the line of each host, and keep what
    becomes free on one. No host knows more than its own line, and nobody says how long he takes.
    """

    name = "genvx"

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, _Waiting] = {}
        self._plain: dict[str, Ticket] = {}
        self._requests: dict[int, Requirements] = {}
        self._keepers: dict[Host, int] = {}

    def arrived(self, job: Job) -> None:
        requirements = self._requests.setdefault(job.gpus, Requirements(job.gpus))
        for count in range(job.gpus, self._world.devices + 1):
            hosts = self._world.with_free(count)
            if not self._waiting:
                ranked, _ = rank(requirements, {host.name: host.snapshot for host in hosts})
                hosts = [host for host in hosts if host.name in ranked[:1]]
            else:
                hosts = list(self._world.all_with_free(count))
            for host in hosts:
                if self._keepers.get(host):
                    continue  # what is free there is kept: it is too little for whoever keeps it
                decision = decide(requirements, replace(host.snapshot, tickets=self._line(host)))
                if isinstance(decision, Placement):
                    self._world.start(job, host, decision.devices)
                    return
                if self._waiting:
                    break  # of hosts on which nobody keeps anything one is like the other
        self._wait(job, requirements)

    def _wait(self, job: Job, requirements: Requirements) -> None:
        # Where the most is free and the fewest keep is what `nearest` asks for: only such hosts can
        # be its answer.
        near = [
            host
            for count in range(self._world.devices, -1, -1)
            for host in self._world.with_free(count, _FEW)
        ][:_FEW]
        near.sort(key=lambda host: self._keepers.get(host, 0))
        seen = {
            host.name: replace(host.snapshot, tickets=self._line(host, keeping_only=True))
            for host in near
        }
        name = nearest(requirements, seen)
        keeper = next(host for host in near if host.name == name)
        number = job.number
        plain = Ticket(
            id=f"{number:016x}",
            owner=Owner(1000, job.user),
            environment=f"{number:08x}",
            name="",
            requirements=requirements,
            boot_id="b",
            since_ns=number,
            seen_ns=1,
            keeps=False,
        )
        keeping = replace(plain, keeps=True)
        self._waiting[plain.id] = _Waiting(job, plain, keeping, keeper)
        self._plain[plain.id] = plain
        self._keepers[keeper] = self._keepers.get(keeper, 0) + 1

    def _line(self, host: Host, *, keeping_only: bool = False) -> tuple[Ticket, ...]:
        if keeping_only:
            return tuple(w.keeping for w in self._waiting.values() if w.keeper is host)
        if not self._keepers.get(host):
            return tuple(self._plain.values())
        return tuple(w.keeping if w.keeper is host else w.ticket for w in self._waiting.values())

    def ended(self, host: Host) -> None:
        while self._waiting and host.free:
            turn = first_offer(replace(host.snapshot, tickets=self._line(host)))
            if turn is None:
                return
            waiting = self._waiting.pop(turn.ticket.id)
            del self._plain[turn.ticket.id]
            self._keepers[waiting.keeper] -= 1
            assert isinstance(turn.decision, Placement)
            self._world.start(waiting.job, host, turn.decision.devices)
            if waiting.keeper is not host:
                self.ended(waiting.keeper)  # what it kept there is for the others now


class FirstFit:
    """No line: whoever asks first when something is free, on the first host that has enough."""

    name = "first fit"

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[int, Job] = {}

    def arrived(self, job: Job) -> None:
        for host in self._world.hosts:
            if host.free >= job.gpus:
                self._start(job, host)
                return
        self._waiting[job.number] = job

    def _start(self, job: Job, host: Host) -> None:
        decision = place(Requirements(job.gpus), host.snapshot)
        assert isinstance(decision, Placement)
        self._world.start(job, host, decision.devices)

    def ended(self, host: Host) -> None:
        for job in list(self._waiting.values()):
            if not host.free:
                return
            if job.gpus <= host.free:
                del self._waiting[job.number]
                self._start(job, host)


class Backfill:
    """As Slurm's scheduler does it, with a server that knows all and users who say how long they
    take: the first in the line has a reservation, where it could start first; others may go before
    it if they do not delay it.
    """

    name = "backfill"
    _TESTED = 100  # jobs behind the first that are looked at, as bf_max_job_test

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[int, Job] = {}

    def arrived(self, job: Job) -> None:
        self._waiting[job.number] = job
        self._pass()

    def ended(self, host: Host) -> None:
        if self._waiting:
            self._pass()

    def _pass(self) -> None:
        reserved: Host | None = None
        when = float("inf")
        for tested, job in enumerate(list(self._waiting.values())):
            if tested > self._TESTED:
                return
            host = self._fit(job, reserved, when)
            if host is not None:
                del self._waiting[job.number]
                decision = place(Requirements(job.gpus), host.snapshot)
                assert isinstance(decision, Placement)
                self._world.start(job, host, decision.devices)
            elif reserved is None:
                when, _, reserved = min(
                    (each.free_at(job.gpus), number, each)
                    for number, each in enumerate(self._world.hosts)
                )

    def _fit(self, job: Job, reserved: Host | None, when: float) -> Host | None:
        """The fullest host that has room and does not delay the first in the line."""
        for count in range(job.gpus, self._world.devices + 1):
            for host in self._world.with_free(count, 2):
                if host is not reserved or self._world.now + job.limit <= when:
                    return host
        return None


ALL = (Genvx, FirstFit, Backfill)
