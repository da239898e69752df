"""genvx's rules, by genvx's own code; and two others to see them beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.leases.claim import Owner
from genvx.core.line.queue import decide, first_offer, nearest
from genvx.core.line.ticket import Ticket
from genvx.core.placing.placement import Placement, place
from genvx.core.placing.ranking import rank
from genvx.core.requests.requirements import Requirements
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.workload import Job
    from simulation.world import Host, World

_CHECKED = 200


@dataclass
class _Waiting:
    """ticket: on all hosts but one; keeping: on the keeper."""

    job: Job
    ticket: Ticket
    keeping: Ticket
    keeper: Host


class Genvx:
    """Whoever finds room takes the best; others wait in the line of each host, and keep what
    becomes free on one. No host knows more than its own line, and nobody says how long he takes.

    core is asked about the tickets that can matter on a host: those that keep there, and of the
    others the first of each size, for what is refused to him is refused to all who want the same.
    Now and then it is asked about the whole line, and must say the same.
    """

    name = "genvx"

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: dict[str, _Waiting] = {}
        self._by_size: dict[int, dict[str, Ticket]] = {}
        self._keeping: dict[Host, dict[str, Ticket]] = {}
        self._requests: dict[int, Requirements] = {}
        self._asked = 0

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
                if self._keeping.get(host):
                    continue  # what is free there is kept: it is too little for whoever keeps it
                decision = decide(requirements, replace(host.snapshot, tickets=self._line(host)))
                if self._now_and_then():
                    whole = replace(host.snapshot, tickets=self._whole_line(host))
                    assert decide(requirements, whole) == decision
                if isinstance(decision, Placement):
                    self._world.start(job, host, decision.devices)
                    return
                if self._waiting:
                    break  # of hosts on which nobody keeps anything one is like the other
        self._wait(job, requirements)

    def _wait(self, job: Job, requirements: Requirements) -> None:
        keeper = self._nearest(requirements)
        number = job.number
        plain = Ticket(
            id=f"{number:016x}",
            owner=Owner(1000, job.user),
            environment_id=f"{number:08x}",
            name="",
            requirements=requirements,
            boot_id="b",
            since_ns=number,
            seen_ns=1,
            keeps=False,
        )
        keeping = replace(plain, keeps=True)
        self._waiting[plain.id] = _Waiting(job, plain, keeping, keeper)
        self._by_size.setdefault(job.gpus, {})[plain.id] = plain
        self._keeping.setdefault(keeper, {})[plain.id] = keeping

    def _nearest(self, requirements: Requirements) -> Host:
        """core is asked about one host of each kind: where nobody keeps, by what is free; and
        where the fewest keep. Where somebody keeps, nothing is free for others.
        """
        kinds: dict[int, Host] = {}
        fewest: Host | None = None
        for host in self._world.hosts:
            if not self._keeping.get(host):
                kinds.setdefault(host.free, host)
            elif fewest is None or len(self._keeping[host]) < len(self._keeping[fewest]):
                fewest = host
        hosts = [*kinds.values(), *([fewest] if fewest else [])]
        found = self._asked_nearest(requirements, hosts)
        if self._now_and_then():
            other = self._asked_nearest(requirements, self._world.hosts)
            assert self._kind(other) == self._kind(found)
        return found

    def _asked_nearest(self, requirements: Requirements, hosts: Sequence[Host]) -> Host:
        seen = {
            host.name: replace(host.snapshot, tickets=tuple(self._keeping.get(host, {}).values()))
            for host in hosts
        }
        name = nearest(requirements, seen)
        return next(host for host in hosts if host.name == name)

    def _kind(self, host: Host) -> tuple[int, int]:
        keepers = len(self._keeping.get(host, ()))
        return (0 if keepers else host.free, keepers)

    def _line(self, host: Host) -> tuple[Ticket, ...]:
        keeping = self._keeping.get(host, {})
        found = list(keeping.values())
        for tickets in self._by_size.values():
            first = next((each for each in tickets.values() if each.id not in keeping), None)
            if first is not None:
                found.append(first)
        return tuple(found)

    def _whole_line(self, host: Host) -> tuple[Ticket, ...]:
        return tuple(w.keeping if w.keeper is host else w.ticket for w in self._waiting.values())

    def _now_and_then(self) -> bool:
        self._asked += 1
        return self._asked % _CHECKED == 0

    def ended(self, host: Host) -> None:
        while self._waiting and host.free:
            turn = first_offer(replace(host.snapshot, tickets=self._line(host)))
            if self._now_and_then():
                whole = first_offer(replace(host.snapshot, tickets=self._whole_line(host)))
                assert (whole and whole.ticket) == (turn and turn.ticket)
            if turn is None:
                return
            waiting = self._waiting.pop(turn.ticket.id)
            del self._by_size[waiting.job.gpus][turn.ticket.id]
            del self._keeping[waiting.keeper][turn.ticket.id]
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
