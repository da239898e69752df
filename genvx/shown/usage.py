"""What an environment uses of its devices, and who shares them, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placing.holdings import holders
from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.local.use import own_processes
from genvx.shown.mine import busy, used

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot


def usage_rows(env: Environment, snapshot: Snapshot) -> list[list[str]]:
    """Return a row for each device: what the environment uses of it, and who shares it."""
    rows = []
    for device in snapshot.devices:
        if device.uuid not in env.devices:
            continue
        usage = snapshot.usage_of(device)
        others = [
            f"{other.owner} {other.label}"
            for other in snapshot.environments
            if device.uuid in other.devices and other is not env
        ]
        shared = f"; shared with {', '.join(others)}" if others else ""
        share = holders(snapshot.leases, device.uuid).get((env.owner.uid, env.id))
        part = "" if share is None else f"{format_memory(share)} of "
        own = "cannot be seen" if usage.processes is None else _own(env, device, snapshot)
        size, rate = format_memory(device.memory), format_percent(usage.utilization)
        text = f"{part}{size}, {rate} busy; its own: {own}{shared}"
        rows.append([f"GPU {device.label}", text])
    return rows


def _own(env: Environment, device: Device, snapshot: Snapshot) -> str:
    own = own_processes(env, device, snapshot)
    if not own:
        return "no process"
    count = f"{len(own)} process{'' if len(own) == 1 else 'es'}"
    return f"{count}, {used(own)}, {busy(own)} busy"
