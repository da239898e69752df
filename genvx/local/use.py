"""Which processes on a device are an environment's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.local import processes

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess


def own_processes(env: Environment, device: Device, snapshot: Snapshot) -> list[DeviceProcess]:
    """Return the processes of an environment on a device.

    These are processes of its user that were started in it. If that is unknown for a process, it
    counts if the user has no other environment on the device.
    """
    tenants = {key for key in snapshot.holdings.get(device.uuid, ()) if key[0] == env.owner.uid}
    found = []
    for process in snapshot.usage_of(device).processes or ():
        if process.uid == env.owner.uid:
            # A user may have several environments on one device, so the uid is not enough. The
            # kernel keeps the variables with which a process was started.
            started_in = processes.environment_of(process.pid)
            if started_in == env.id or (started_in is None and len(tenants) == 1):
                found.append(process)
    return found


def processes_of(env: Environment, snapshot: Snapshot) -> dict[str, list[DeviceProcess]]:
    """Return the processes of an environment on each of its devices, by UUID."""
    devices = (device for device in snapshot.devices if device.uuid in env.devices)
    return {device.uuid: own_processes(env, device, snapshot) for device in devices}
