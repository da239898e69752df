"""The line of one host: first come, first served, among those who could use the devices.

A later ticket never takes devices that an earlier one could use. A ticket that can be satisfied is
offered its devices. One that cannot yet be satisfied keeps the usable free devices, and no further
share is placed on devices that it needs, so that small requests do not starve a large one. Devices
that it could not use anyway are free for the tickets behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.line.walk import Walk
from genvx.core.placing.placement import Placement, place
from genvx.core.placing.refusal import Refusal

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.line.position import Position
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def line(snapshot: Snapshot) -> tuple[Position, ...]:
    """Return the position of every ticket whose holder attends, in the order of the line."""
    return tuple(Walk(snapshot).positions())


def first_offer(snapshot: Snapshot) -> Optional[Position]:
    """Return the first ticket in the line that may take its devices now."""
    positions = Walk(snapshot).positions(only_offers=True)
    return next((position for position in positions if position.offered), None)


def decide(
    requirements: Requirements,
    snapshot: Snapshot,
    *,
    environment: Optional[EnvironmentKey] = None,
    shuffle: Optional[random.Random] = None,
    ticket: Optional[str] = None,
) -> Union[Placement, Refusal]:
    """Choose devices on one host, behind all tickets that were there first.

    ticket: the id of the asking ticket, if it waits; tickets behind it do not count.
    """
    found = Walk(snapshot)
    # Without devices there is nothing to wait for, and the line need not be walked.
    if requirements.gpus:
        found.walk(until=ticket)
    return place(
        requirements, found.world, environment=environment, shuffle=shuffle, kept=found.kept
    )


def left_over(snapshot: Snapshot) -> tuple[Snapshot, Mapping[str, str]]:
    """Return a host as a newcomer may use it, with the shares that waiting tickets would take, and
    why each device that is kept for others is kept.
    """
    if not snapshot.tickets:
        return snapshot, {}
    found = Walk(snapshot)
    found.walk()
    return found.world, found.kept


def nearest(requirements: Requirements, snapshots: Mapping[str, Snapshot]) -> Optional[str]:
    """Choose the host on which a request that waits on several hosts keeps devices.

    It is the host with the most fitting devices already; among equals, the one with the fewest
    tickets that keep devices.
    """
    best: Optional[tuple[int, int, str]] = None
    for name, snapshot in snapshots.items():
        decision = decide(requirements, snapshot)
        fitting = decision.fitting if isinstance(decision, Refusal) else requirements.gpus
        # Only one host: if a request kept devices on all, every host would have idle devices until
        # one of them has enough.
        rated = (-fitting, sum(ticket.keeps for ticket in snapshot.tickets), name)
        if best is None or rated[:2] < best[:2]:
            best = rated
    return None if best is None else best[2]


def position_of(ticket: str, snapshot: Snapshot) -> Optional[Position]:
    """Return the position of one ticket; None if it is gone, or its holder does not attend."""
    return next((position for position in line(snapshot) if position.ticket.id == ticket), None)
