"""Hosts, and what each of them answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.errors import GenvxError, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.schema.document import Plain
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.outcomes import Outcomes


def plain_error(error: GenvxError) -> Plain:
    """Convert an error."""
    return {"kind": kind_of(error), "type": type(error).__name__, "message": str(error)}


def failed_host(name: str, error: GenvxError) -> Plain:
    """Convert the failure of a host."""
    return {"host": name, "ok": False, "error": plain_error(error)}


def plain_host(name: str, snapshot: Snapshot) -> Plain:
    """Convert a host, without its devices and environments."""
    return {
        "host": name,
        "ok": True,
        "hostname": snapshot.hostname,
        "version": snapshot.version,
        "driver": {
            "version": snapshot.driver.version,
            "error": snapshot.driver.error,
            "simulated": snapshot.driver.simulated,
            "notes": list(snapshot.driver.notes),
        },
        "ends_in_seconds": snapshot.seconds_left,
        "total": len(snapshot.devices),
        "available": len(snapshot.available),
    }


def answers(
    fleet: Fleet, outcomes: Outcomes[Snapshot], more: Callable[[Snapshot], Plain]
) -> list[Plain]:
    """Convert outcomes to an entry per host, in the order of the fleet.

    more: makes the fields of a verb from a snapshot, in addition to those of `host`.
    """
    return [
        failed_host(name, outcomes.failed[name])
        if name in outcomes.failed
        else plain_host(name, outcomes.succeeded[name]) | more(outcomes.succeeded[name])
        for name in (member.name for member in fleet.hosts)
    ]
