"""The devices of a machine, and who holds them, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placing.holdings import holders
from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.core.snapshot import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot

COLUMNS = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "STATE", "USER", "ENV", "SINCE")
# ENV keeps an id whole: people type it.
YIELDING = {"NAME": 6, "USER": 6, "SINCE": 6, "ENV": 8, "STATE": 6}


def total_of(devices: int, available: int) -> str:
    """Return the line below the table."""
    return f"Total {devices} devices with {available} available"


def row(device: Device, snapshot: Snapshot, since: Callable[[float], str]) -> list[str]:
    """Return the row of a device. since: formats an age in seconds."""
    usage = snapshot.usage_of(device)
    held = holders(snapshot.leases, device.uuid)
    tenants = [env for env in snapshot.environments if (env.owner.uid, env.id) in held]
    users = [str(env.owner) for env in tenants]
    state = snapshot.state(device)
    # Nobody holds it, so name the user whose process is in the way.
    if state is State.BUSY:
        users = [_foreigner(device, snapshot)]
    return [
        device.label,
        device.shown_name,
        format_memory(device.memory),
        format_memory(usage.memory_used),
        format_percent(usage.utilization),
        state.value + (", over-subscribed" if snapshot.oversubscribed(device) else ""),
        ", ".join(dict.fromkeys(users)),
        ", ".join(env.name or env.id for env in tenants),
        since(snapshot.age_seconds(tenants[0].since_ns)) if tenants else "",
    ]


def _foreigner(device: Device, snapshot: Snapshot) -> str:
    foreign = snapshot.foreign(device)
    if not foreign:
        return "no visible process"
    first = foreign[0]
    return f"{first.user} (pid {first.pid})"
