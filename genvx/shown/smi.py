"""The devices of an environment and its processes on them, as two tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.shown.columns import Fitting
from genvx.shown.mine import busy, used

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess

DEVICES = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "OWN USED", "OWN UTIL")
PROCESSES = ("GPU", "PID", "USED", "UTIL", "COMMAND")
FITTING = Fitting(
    yielding={"NAME": 6, "COMMAND": 12}, dropped=("NAME", "MEMORY"), kept=("GPU", "PID")
)


def rows(
    env: Environment, snapshot: Snapshot, own: Mapping[str, list[DeviceProcess]]
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of both tables. own: the environment's processes, by the device's UUID."""
    devices, running = [], []
    for device in snapshot.devices:
        if device.uuid not in env.devices:
            continue
        usage = snapshot.usage_of(device)
        mine = own.get(device.uuid, [])
        devices.append(
            [
                device.label,
                device.shown_name,
                format_memory(device.memory),
                format_memory(usage.memory_used),
                format_percent(usage.utilization),
                # Unknown is not nothing: in a container the processes may not be visible.
                "?" if usage.processes is None else used(mine),
                "?" if usage.processes is None else busy(mine),
            ]
        )
        running += [[device.label, str(p.pid), used([p]), busy([p]), p.command] for p in mine]
    return devices, running
