"""Environments, their owners, and what they were granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.leases.claim import Owner
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.snapshot import Snapshot


def plain_user(owner: Owner) -> Plain:
    """Convert a user."""
    return {"name": owner.name, "uid": owner.uid}


def plain_environment(item: Environment, snapshot: Snapshot) -> Plain:
    """Convert an environment, with its holders."""
    return {
        "id": item.id,
        "name": item.name,
        "user": plain_user(item.owner),
        "age_seconds": round(snapshot.age_seconds(item.since_ns), 3),
        "devices": list(item.devices),
        "memory_bytes": item.memory,
        "pids": list(item.living_pids),
        "holders": None
        if item.holders is None
        else [
            {
                "pid": each.pid,
                "command": each.command,
                "age_seconds": round(snapshot.age_seconds(each.since_ns), 3),
                "stopped": each.stopped,
                "certain": each.certain,
            }
            for each in item.holders
        ],
        "command": item.command,
        "seconds_left": None
        if item.expires_ns is None
        else round(max(0, item.expires_ns - snapshot.boottime_ns) / 1e9, 3),
    }


def plain_grant(item: Grant) -> Plain:
    """Convert a grant."""
    return {
        "id": item.environment_id,
        "name": item.name,
        "devices": [device.uuid for device in item.devices],
        "memory_bytes": item.memory,
        "seconds_left": item.seconds,
    }
