"""One host at one moment: the only input to placement and to every table."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.device import (
    UNEXPLAINED_MEMORY,
    Device,
    DeviceProcess,
    DeviceUsage,
    Driver,
    Health,
)
from genvx.core.lease import Environment, Lease, environments, holdings
from genvx.core.units import format_memory
from genvx.core.value import cached, field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.claim import EnvironmentKey
    from genvx.core.ticket import Ticket

# What an idle desktop may use of a device without making it busy: X, a compositor, a browser's
# drawing.
DESKTOP_MEMORY = 500 * (1 << 20)


class State(str, Enum):
    """What a device is to somebody who wants one."""

    FREE = "free"
    LEASED = "leased"
    SHARED = "shared"
    BUSY = "busy"
    LOST = "lost"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@value
class Snapshot:
    """One host at one moment.

    hostname: what the host calls itself; version: genvx there; boottime_ns: CLOCK_BOOTTIME at this
    moment. leases, tickets: the living ones. odd: files in the state directory that count for
    nothing, and why. desktop_memory: bytes that a process which only draws may use without making a
    device busy.
    """

    hostname: str
    version: str
    boot_id: str
    boottime_ns: int
    driver: Driver
    devices: tuple[Device, ...] = ()
    usage: Mapping[str, DeviceUsage] = field(default_factory=dict)
    leases: tuple[Lease, ...] = ()
    odd: tuple[str, ...] = ()
    desktop_memory: int = DESKTOP_MEMORY
    tickets: tuple[Ticket, ...] = ()

    @cached
    def environments(self) -> tuple[Environment, ...]:
        return environments(self.leases)

    @cached
    def holdings(self) -> Mapping[str, Mapping[EnvironmentKey, Optional[int]]]:
        """Who holds what of each device that is held, by UUID."""
        return holdings(self.leases)

    @cached
    def available(self) -> tuple[Device, ...]:
        """The devices that can be leased whole, now."""
        held, usage = self.holdings, self.usage
        found = []
        for device in self.devices:
            if device.uuid not in held:
                now = usage.get(device.uuid)
                if now is None or now.idle or self.state(device) is State.FREE:
                    found.append(device)
        return tuple(found)

    @cached
    def available_uuids(self) -> frozenset[str]:
        return frozenset([device.uuid for device in self.available])

    def age_seconds(self, since_ns: int) -> float:
        return max(0, self.boottime_ns - since_ns) / 1e9

    def device(self, uuid: str) -> Optional[Device]:
        return next((device for device in self.devices if device.uuid == uuid), None)

    def usage_of(self, device: Device) -> DeviceUsage:
        return self.usage.get(device.uuid, DeviceUsage())

    def foreign(self, device: Device) -> tuple[DeviceProcess, ...]:
        """Processes on `device` of users who hold no lease on it.

        The kernel says the uid of a process. A process whose user is unknown is foreign. One that
        only draws, or only serves others, is excepted while it uses little.
        """
        tenants = {uid for uid, _ in self.holdings.get(device.uuid, ())}
        usage = self.usage.get(device.uuid)
        return tuple(
            process
            for process in (usage and usage.processes) or ()
            if process.uid not in tenants and not self._uses_little(process, bool(tenants))
        )

    def _uses_little(self, process: DeviceProcess, held: bool) -> bool:
        """Whether a desktop or an MPS server uses too little to matter; whoever only calls
        themselves so can have no more.
        """
        if process.compute and not process.mps:
            return False
        if process.memory is None:
            return process.mps and held  # for the clients of the holder, as far as can be told
        return process.memory < self.desktop_memory

    def unexplained(self, device: Device) -> int:
        """Bytes of `device` in use by no process in sight; 0 where they are too few to matter.

        What is promised to those who hold a share counts as theirs, in sight or not: theirs may be
        in a container, or have died just now.
        """
        usage = self.usage.get(device.uuid)
        if usage is None or usage.memory_used is None or device.unified:
            return 0
        held = self.holdings.get(device.uuid, {})
        if held and (usage.processes is None or None in held.values()):
            return 0
        seen: dict[Optional[int], int] = {}
        for process in usage.processes or ():
            if process.memory is None:
                return 0  # as much as is in use, for all that is known
            seen[process.uid] = seen.get(process.uid, 0) + process.memory
        promised: dict[Optional[int], int] = {}
        for (uid, _), size in held.items():
            promised[uid] = promised.get(uid, 0) + (size or 0)
        theirs = (max(seen.get(uid, 0), promised.get(uid, 0)) for uid in {*seen, *promised})
        left = usage.memory_used - sum(theirs)
        least = self.desktop_memory if usage.processes is None else UNEXPLAINED_MEMORY
        return left if left >= least else 0

    def unseen(self, device: Device) -> str:
        """Why somebody whom nobody here can see may be using `device`, as words after "GPU 3 is
        busy:"; empty if nobody is.
        """
        unexplained = self.unexplained(device)
        if unexplained:
            return f"{format_memory(unexplained)} in use by no visible process"
        usage = self.usage.get(device.uuid)
        if usage is None or usage.processes is not None:
            return ""
        if usage.memory_used is not None and not device.unified:
            return ""
        return "" if device.uuid in self.holdings else "processes on it cannot be seen from here"

    def in_use(self, device: Device) -> bool:
        """Whether somebody who holds no lease on `device` uses it."""
        return bool(self.foreign(device) or self.unseen(device))

    def oversubscribed(self, device: Device) -> bool:
        """Whether the shares of a device add up to more than it has."""
        held = self.holdings.get(device.uuid, {}).values()
        return device.memory is not None and sum(size or 0 for size in held) > device.memory

    def state(self, device: Device) -> State:
        usage = self.usage.get(device.uuid)
        if usage is not None and usage.health is not Health.OK:
            return State(usage.health.value)
        held = self.holdings.get(device.uuid)
        if held:
            return State.LEASED if None in held.values() else State.SHARED
        return State.BUSY if self.in_use(device) else State.FREE
