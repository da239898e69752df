"""One host at one moment: the only input to placement and to every table."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.usage import UNEXPLAINED_MEMORY, DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.value import cached, field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.lease import Lease
    from genvx.core.line.ticket import Ticket

# A desktop (X, a compositor, a browser that draws) may use this much of a device without making it
# busy. Otherwise no GPU with a screen could ever be leased.
DESKTOP_MEMORY = 500 * (1 << 20)


class State(str, Enum):
    """The state of a device, as seen by somebody who wants one."""

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

    hostname: what the host calls itself. version: of genvx there. boottime_ns: CLOCK_BOOTTIME at
    this moment. leases, tickets: the living ones. odd: files in the state directory that are
    ignored, and why. desktop_memory: bytes that a process which only draws may use without making a
    device busy. ends_ns: CLOCK_BOOTTIME at which the job of Slurm ends that has these devices; None
    if there is none, or that is not known.
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
    ends_ns: Optional[int] = None

    @property
    def seconds_left(self) -> Optional[float]:
        """The seconds until the job of Slurm ends that has these devices; None as in `ends_ns`."""
        return None if self.ends_ns is None else max(0.0, (self.ends_ns - self.boottime_ns) / 1e9)

    @cached
    def environments(self) -> tuple[Environment, ...]:
        """The living environments, oldest first."""
        # Imported here: a host that only reports what it sees works out neither.
        from genvx.core.leases.environments import environments

        return environments(self.leases)

    @cached
    def holdings(self) -> Mapping[str, Mapping[EnvironmentKey, Optional[int]]]:
        """Who holds what of each device that is held, by UUID."""
        from genvx.core.placing.holdings import holdings

        return holdings(self.leases)

    @cached
    def available(self) -> tuple[Device, ...]:
        """The devices that can be leased whole now."""
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
        """The UUIDs of `available`."""
        return frozenset([device.uuid for device in self.available])

    def age_seconds(self, since_ns: int) -> float:
        """Return the seconds from a time of CLOCK_BOOTTIME to this moment; never negative."""
        return max(0, self.boottime_ns - since_ns) / 1e9

    def device(self, uuid: str) -> Optional[Device]:
        """Return the device with this UUID; None if the host has none."""
        return next((device for device in self.devices if device.uuid == uuid), None)

    def usage_of(self, device: Device) -> DeviceUsage:
        """Return the reading of a device; without one it counts as idle and healthy."""
        return self.usage.get(device.uuid, DeviceUsage())

    def foreign(self, device: Device) -> tuple[DeviceProcess, ...]:
        """Return the processes on `device` of users who hold no lease on it.

        The uid of a process comes from the kernel. A process whose user is unknown is foreign. A
        process that only draws, or only serves others, is excepted while it uses little memory.
        """
        tenants = {uid for uid, _ in self.holdings.get(device.uuid, ())}
        usage = self.usage.get(device.uuid)
        return tuple(
            process
            for process in (usage and usage.processes) or ()
            if process.uid not in tenants and not self._uses_little(process, bool(tenants))
        )

    def _uses_little(self, process: DeviceProcess, held: bool) -> bool:
        """Whether a desktop or an MPS server uses too little to matter.

        A program that disguises itself as one gains no more than that little.
        """
        if process.compute and not process.mps:
            return False
        if process.memory is None:
            return process.mps and held  # it serves the holder's clients, as far as can be known
        return process.memory < self.desktop_memory

    def unexplained(self, device: Device) -> int:
        """Return the bytes of `device` that no visible process uses; 0 if they are too few to
        matter.

        Memory that is promised to holders of a share is theirs, whether their processes are visible
        or not: a process may be in a container, or have died just now.
        """
        usage = self.usage.get(device.uuid)
        if usage is None or usage.memory_used is None or device.unified:
            return 0
        held = self.holdings.get(device.uuid, {})
        # A holder of the whole device may use all of it. And where no process can be seen, what
        # holders use cannot be told from what others use.
        if held and (usage.processes is None or None in held.values()):
            return 0
        seen: dict[Optional[int], int] = {}
        for process in usage.processes or ():
            if process.memory is None:
                return 0  # it may be using all of it
            seen[process.uid] = seen.get(process.uid, 0) + process.memory
        promised: dict[Optional[int], int] = {}
        for (uid, _), size in held.items():
            promised[uid] = promised.get(uid, 0) + (size or 0)
        theirs = (max(seen.get(uid, 0), promised.get(uid, 0)) for uid in {*seen, *promised})
        left = usage.memory_used - sum(theirs)
        least = self.desktop_memory if usage.processes is None else UNEXPLAINED_MEMORY
        return left if left >= least else 0

    def unseen(self, device: Device) -> str:
        """Return why an invisible process may be using `device`; empty if none is.

        The words follow "GPU 3 is busy:".
        """
        unexplained = self.unexplained(device)
        if unexplained:
            from genvx.core.quantities.amounts import format_memory

            return f"{format_memory(unexplained)} in use by no visible process"
        usage = self.usage.get(device.uuid)
        if usage is None or usage.processes is not None:
            return ""
        if usage.memory_used is not None and not device.unified:
            return ""
        return "" if device.uuid in self.holdings else "processes on it cannot be seen from here"

    def in_use(self, device: Device) -> bool:
        """Whether somebody without a lease uses `device`."""
        return bool(self.foreign(device) or self.unseen(device))

    def oversubscribed(self, device: Device) -> bool:
        """Whether the shares of a device add up to more than its memory."""
        held = self.holdings.get(device.uuid, {}).values()
        return device.memory is not None and sum(size or 0 for size in held) > device.memory

    def state(self, device: Device) -> State:
        """Return the state of a device."""
        usage = self.usage.get(device.uuid)
        if usage is not None and usage.health is not Health.OK:
            return State(usage.health.value)
        held = self.holdings.get(device.uuid)
        if held:
            return State.LEASED if None in held.values() else State.SHARED
        return State.BUSY if self.in_use(device) else State.FREE
