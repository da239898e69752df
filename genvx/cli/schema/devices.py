"""Devices, with the environments and processes on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.environments import plain_user
from genvx.core.placing.holdings import holders

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot


def plain_device(item: Device, snapshot: Snapshot) -> Plain:
    """Convert a device, with its environments and processes."""
    usage = snapshot.usage_of(item)
    held = holders(snapshot.leases, item.uuid)
    foreign = set(snapshot.foreign(item))
    return {
        "label": item.label,
        "index": item.index,
        "uuid": item.uuid,
        "name": item.name,
        "simulated": item.simulated,
        "state": snapshot.state(item).value,
        "oversubscribed": snapshot.oversubscribed(item),
        "reason": usage.reason or snapshot.unseen(item),
        "memory_bytes": item.memory,
        "memory_used_bytes": usage.memory_used,
        "unified_memory": item.unified,
        "utilization_percent": usage.utilization,
        "environments": [
            {
                "id": env.id,
                "name": env.name,
                "user": plain_user(env.owner),
                "memory_bytes": held[(env.owner.uid, env.id)],
                "age_seconds": round(snapshot.age_seconds(env.since_ns), 3),
            }
            for env in snapshot.environments
            if (env.owner.uid, env.id) in held
        ],
        "processes": None
        if usage.processes is None
        else [
            {
                "pid": process.pid,
                "uid": process.uid,
                "user": process.user,
                "command": process.command,
                "memory_bytes": process.memory,
                "compute": process.compute,
                "utilization_percent": process.utilization,
                "foreign": process in foreign,
            }
            for process in usage.processes
        ],
    }
