"""One host at one moment: the only input to placement and to every table."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.device import Device, DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.lease import Environment, EnvironmentKey, Lease, environments, holdings
from genvx.core.record import cached, dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping

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


@dataclass(frozen=True)
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
                plain = now is None or (now.health is Health.OK and now.processes == ())
                if plain or self.state(device) is State.FREE:
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

        A user is told by the kernel's uid. A process whose user cannot be told is foreign. One that
        only draws is excepted while it uses little.
        """
        tenants = {uid for uid, _ in self.holdings.get(device.uuid, ())}
        usage = self.usage.get(device.uuid)
        return tuple(
            process
            for process in (usage and usage.processes) or ()
            if process.uid not in tenants and not self._only_draws(process)
        )

    def _only_draws(self, process: DeviceProcess) -> bool:
        return (
            not process.compute
            and process.memory is not None
            and process.memory < self.desktop_memory
        )

    def unseen(self, device: Device) -> bool:
        """Whether somebody may be using `device` whom nobody here can see."""
        usage = self.usage.get(device.uuid)
        if usage is None or usage.processes is not None:
            return False
        return usage.memory_used is None or usage.memory_used >= self.desktop_memory

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
        return State.BUSY if self.foreign(device) or self.unseen(device) else State.FREE
