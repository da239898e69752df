"""Hosts as genvx's own core sees them, and the clock that moves them."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceUsage, Driver
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simulation.workload import Job

_OWNER = Owner(1000, "user")


class Host:
    """One host: the Snapshot that core decides by, and the jobs that run there.

    ends: when each is to end by its user's word, with its devices, in this order.
    """

    def __init__(self, name: str, devices: int) -> None:
        self.name = name
        found = tuple(
            Device(f"{name}-{i}", i, "NVIDIA A100-SXM4-80GB", 80 << 30) for i in range(devices)
        )
        usage = {device.uuid: DeviceUsage(memory_used=0, utilization=0) for device in found}
        self.snapshot = Snapshot(name, "", "b", 0, Driver("1"), found, usage)
        self.ends: list[tuple[float, int, int]] = []

    @property
    def free(self) -> int:
        return len(self.snapshot.available)

    def free_at(self, gpus: int) -> float:
        """When so many devices will be free, by the users' words; now is 0."""
        free = self.free
        if free >= gpus:
            return 0.0
        for end, count, _ in self.ends:
            free += count
            if free >= gpus:
                return end
        return float("inf")


class World:
    """All hosts, by how many devices are free."""

    def __init__(self, hosts: int, devices: int) -> None:
        self.devices = devices
        self.hosts = [Host(f"h{number}", devices) for number in range(hosts)]
        self._by_free: list[dict[Host, None]] = [{} for _ in range(devices + 1)]
        self._by_free[devices] = dict.fromkeys(self.hosts)
        self.now = 0.0
        self.started: dict[int, float] = {}
        self.busy = 0
        self._running: list[tuple[float, int, Host, Job]] = []

    def with_free(self, count: int, most: int = 32) -> list[Host]:
        """Hosts with so many free devices, exactly; no more than `most`, for they are all alike."""
        found = []
        for host in self._by_free[count]:
            found.append(host)
            if len(found) == most:
                break
        return found

    def all_with_free(self, count: int) -> Iterator[Host]:
        return iter(tuple(self._by_free[count]))

    def start(self, job: Job, host: Host, devices: Sequence[Device]) -> None:
        before = host.free
        uuids = tuple(device.uuid for device in devices)
        assert set(uuids) <= host.snapshot.available_uuids, "a device is given twice"
        lease = Lease(
            uuids,
            None,
            id=f"{job.number:016x}",
            owner=_OWNER,
            environment_id=f"{job.number:08x}",
            name="",
            boot_id="b",
            since_ns=0,
        )
        host.snapshot = replace(host.snapshot, leases=(*host.snapshot.leases, lease))
        host.ends.append((self.now + job.limit, job.gpus, job.number))
        host.ends.sort()
        self._moved(host, before)
        self.started[job.number] = self.now
        self.busy += job.gpus
        heapq.heappush(self._running, (self.now + job.duration, job.number, host, job))

    def _moved(self, host: Host, before: int) -> None:
        del self._by_free[before][host]
        self._by_free[host.free][host] = None

    def next_end(self) -> float:
        return self._running[0][0] if self._running else float("inf")

    def end_next(self) -> Host:
        """End the job whose time is over next."""
        self.now, number, host, job = heapq.heappop(self._running)
        before = host.free
        leases = tuple(x for x in host.snapshot.leases if x.id != f"{number:016x}")
        host.snapshot = replace(host.snapshot, leases=leases)
        host.ends = [end for end in host.ends if end[2] != number]
        self._moved(host, before)
        self.busy -= job.gpus
        return host


class Scheduler(Protocol):
    """Who gets what when. Told of each arrival, and of each host on which something has ended."""

    name: str

    def arrived(self, job: Job) -> None: ...

    def ended(self, host: Host) -> None: ...


@dataclass
class Result:
    """waits: seconds of each job, by its devices. utilization: of the devices, while jobs came."""

    waits: dict[int, list[float]] = field(default_factory=dict)
    utilization: float = 0.0


def replay(jobs: Sequence[Job], world: World, scheduler: Scheduler) -> Result:
    """Run all jobs to their ends."""
    used, since = 0.0, 0.0
    begin, end = (jobs[int(len(jobs) * share)].arrival for share in (0.1, 0.999))

    def advance(to: float) -> None:
        nonlocal used, since
        low, high = max(since, begin), min(to, end)
        used += world.busy * max(0.0, high - low)
        since = to

    for job in jobs:
        while world.next_end() <= job.arrival:
            advance(world.next_end())
            scheduler.ended(world.end_next())
        advance(job.arrival)
        world.now = job.arrival
        scheduler.arrived(job)
    while world.next_end() < float("inf"):
        advance(world.next_end())
        scheduler.ended(world.end_next())
    result = Result(utilization=used / ((end - begin) * len(world.hosts) * world.devices))
    for job in jobs:
        result.waits.setdefault(job.gpus, []).append(world.started[job.number] - job.arrival)
    return result
