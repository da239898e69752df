"""Which processes on a device are an environment's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.local import processes

if TYPE_CHECKING:
    from genvx.core.device import Device, DeviceProcess
    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot


def own_processes(env: Environment, device: Device, snapshot: Snapshot) -> list[DeviceProcess]:
    """The processes of an environment on a device: its user's, that were started in it; and those
    of which that cannot be told, where its user has nothing else there.
    """
    tenants = {key for key in snapshot.holdings.get(device.uuid, ()) if key[0] == env.owner.uid}
    found = []
    for process in snapshot.usage_of(device).processes or ():
        if process.uid == env.owner.uid:
            started_in = processes.environment_of(process.pid)
            if started_in == env.id or (started_in is None and len(tenants) == 1):
                found.append(process)
    return found


def processes_of(env: Environment, snapshot: Snapshot) -> dict[str, list[DeviceProcess]]:
    """The processes of an environment on each of its devices, by UUID."""
    devices = (device for device in snapshot.devices if device.uuid in env.devices)
    return {device.uuid: own_processes(env, device, snapshot) for device in devices}
