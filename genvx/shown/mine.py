"""The environment of this shell, and what its own processes use of a device."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.ranges import ranges
from genvx.core.units import format_memory, format_percent
from genvx.local import processes

if TYPE_CHECKING:
    from genvx.core.device import Device, DeviceProcess
    from genvx.core.grant import Grant
    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot


def current(snapshot: Snapshot) -> Optional[Environment]:
    """Return the environment of this shell; None if there is none.

    The variable only names it; the lease decides.
    """
    wanted = os.environ.get("GENVX_ENVIRONMENT_ID")
    for env in snapshot.environments:
        if env.id == wanted and env.owner.uid == os.geteuid():
            return env
    return None


def has(grant: Grant) -> str:
    """Return a sentence that says which devices an environment has."""
    labels = [device.label for device in grant.devices]
    if not labels:
        return f"Environment {grant.label} has no GPU"
    return f"Environment {grant.label} has GPU{'' if len(labels) == 1 else 's'} {ranges(labels)}"


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


def used(own: list[DeviceProcess]) -> str:
    """Return the memory of processes, added up; "?" if the driver does not say."""
    sizes = [process.memory for process in own]
    return format_memory(None if None in sizes else sum(size for size in sizes if size))


def busy(own: list[DeviceProcess]) -> str:
    """Return how busy processes keep their device, added up; "?" if the driver does not say."""
    rates = [process.utilization for process in own]
    return format_percent(None if None in rates else sum(rate for rate in rates if rate))
