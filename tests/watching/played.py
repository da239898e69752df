"""Looks at hosts as a test plays them: what is there at which hour."""

from __future__ import annotations

from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.line.ticket import Ticket
from genvx.core.requests.requirements import Requirements
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Sensors
from genvx.watching.sight import Sight

HOUR = 3600
# A full hour, and midnight in Greenwich.
START = 20_000 * 24 * HOUR
_BOOT = START - 1000 * HOUR
RAZ, SAM, ANN = Owner(1001, "raz"), Owner(1002, "sam"), Owner(1003, "ann")


def gpu(number: int, name: str = "NVIDIA A100-SXM4-80GB", **more) -> Device:
    return Device(f"GPU-{number}", number, name, 80 << 30, **more)


def lease(env: str, owner: Owner, gpus: str, begin: float, *, memory=None, name="") -> Lease:
    """gpus: indices, as in "0,1". begin: hours since START."""
    return Lease(
        tuple(f"GPU-{index}" for index in gpus.split(",")),
        memory,
        id=f"{env}00",
        owner=owner,
        environment_id=env,
        name=name,
        boot_id="b",
        since_ns=_boottime(begin),
    )


def ticket(env: str, owner: Owner, begin: float, gpus: int = 1) -> Ticket:
    return Ticket(
        Requirements(gpus),
        _boottime(begin),
        id=f"{env}77",
        owner=owner,
        environment_id=env,
        name="",
        boot_id="b",
        since_ns=_boottime(begin),
    )


def process(owner: Owner, utilization: int | None) -> DeviceProcess:
    return DeviceProcess(7, owner.uid, owner.name, "python", 1 << 30, True, utilization)


def usage(busy: int | None, *processes: DeviceProcess) -> DeviceUsage:
    sensors = Sensors(250_500, 61, 1410, 1593, 3, 0)
    return DeviceUsage(memory_used=10 << 30, utilization=busy, processes=processes, sensors=sensors)


def look(host: str, hour: float, devices=(), leases=(), tickets=(), **more) -> Sight:
    """usage: by UUID."""
    snapshot = Snapshot(
        more.pop("hostname", host),
        "1.0",
        "b",
        _boottime(hour),
        Driver("550.1"),
        tuple(devices),
        more.pop("usage", {device.uuid: usage(0) for device in devices}),
        tuple(leases),
        tickets=tuple(tickets),
    )
    assert not more
    return Sight(host, START + hour * HOUR, 0.02, snapshot)


def _boottime(hour: float) -> int:
    return round((START + hour * HOUR - _BOOT) * 1e9)
