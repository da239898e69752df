"""Requests for devices, and where they stand in the line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.environments import plain_user

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain
    from genvx.core.line.position import Position
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def plain_requirements(item: Requirements) -> Plain:
    """Convert what a request requires."""
    return {
        "text": str(item),
        "gpus": item.gpus,
        "memory_bytes": item.memory,
        "models": list(item.models),
        "at_least_bytes": item.at_least,
        "at_most_bytes": item.at_most,
        "devices": list(item.devices),
    }


def plain_position(item: Position, snapshot: Snapshot) -> Plain:
    """Convert a position in the line."""
    return {
        "id": item.ticket.environment_id,
        "name": item.ticket.name,
        "user": plain_user(item.ticket.owner),
        "place": item.place,
        "offered": item.offered,
        "reason": item.reason,
        "request": plain_requirements(item.ticket.requirements),
        "waiting_seconds": round(snapshot.age_seconds(item.ticket.since_ns), 3),
        "pid": item.ticket.pid,
        "command": item.ticket.command,
    }
