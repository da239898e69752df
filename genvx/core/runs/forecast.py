"""On which host a request that has to wait will start soonest, by what is known now.

What is known: who is in line before it, which devices are free, and when the time limits of those
who hold devices are over. A holder without a limit may stay for ever, and so may all who wait.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Optional

from genvx.core.line.keeping import as_lease
from genvx.core.line.queue import decide, first_offer
from genvx.core.placing.placement import Placement
from genvx.core.placing.ranking import rank
from genvx.core.value import replace, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.leases.lease import Lease
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


@value
class Outlook:
    """When a request can start on a host where it has to wait.

    seconds: until then; infinite if nobody knows. ahead: how many are in line before it. missing:
    how many more devices it needs than are free for it.
    """

    seconds: float
    ahead: int
    missing: int

    @property
    def rating(self) -> tuple[float, int, int]:
        """The key that sorts hosts, soonest first."""
        return (self.seconds, self.ahead, self.missing)


def soonest(requirements: Requirements, snapshots: Mapping[str, Snapshot]) -> tuple[str, ...]:
    """Return the hosts that may ever satisfy a request, the one where it starts soonest first.

    First those that have room now, best first. Among the others a start that is known comes before
    one that is not; then the shorter line counts, then the fewer missing devices, and last the
    strategy of the request.
    """
    ranked, refusals = rank(requirements, snapshots)
    outlooks, worlds = {}, {}
    for name, refusal in refusals.items():
        if not refusal.never:
            outlooks[name], worlds[name] = _outlook(requirements, snapshots[name], refusal.fitting)
    preferred, _ = rank(requirements, worlds)
    order = {name: number for number, name in enumerate(preferred)}
    waiting = sorted(
        outlooks, key=lambda name: (outlooks[name].rating, order.get(name, len(order)))
    )
    return (*ranked, *waiting)


def outlook(requirements: Requirements, snapshot: Snapshot) -> Optional[Outlook]:
    """Return when a request can start on a host; None if it never can."""
    decision = decide(requirements, snapshot)
    if isinstance(decision, Placement):
        return Outlook(0, 0, 0)
    if decision.never:
        return None
    return _outlook(requirements, snapshot, decision.fitting)[0]


def _outlook(
    requirements: Requirements, snapshot: Snapshot, fitting: int
) -> tuple[Outlook, Snapshot]:
    """When the request can start, and the host as it is then."""
    now = snapshot.boottime_ns
    ahead = sum(ticket.attends(now) for ticket in snapshot.tickets)
    missing = max(0, requirements.gpus - fitting)
    ends = sorted({each.expires_ns for each in snapshot.leases if each.expires_ns is not None})
    world = snapshot
    for end in ends:
        world = _served(_without(world, [each for each in world.leases if _is_over(each, end)]))
        if isinstance(decide(requirements, world), Placement):
            return Outlook(max(0, end - now) / 1e9, ahead, missing), world
    # By the strategy hosts are compared as if all had left.
    empty = _without(replace(snapshot, tickets=()), list(snapshot.leases))
    return Outlook(math.inf, ahead, missing), empty


def _is_over(lease: Lease, at_ns: int) -> bool:
    return lease.expires_ns is not None and lease.expires_ns <= at_ns


def _without(snapshot: Snapshot, gone: list[Lease]) -> Snapshot:
    """The host once these leases have ended, and their processes with them."""
    freed = {uuid for lease in gone for uuid in lease.devices}
    usage = dict(snapshot.usage)
    for device in snapshot.devices:
        # What others do there without a lease does not end with it.
        if device.uuid in freed and not snapshot.in_use(device):
            usage[device.uuid] = replace(
                snapshot.usage_of(device), memory_used=None, utilization=None, processes=()
            )
    ids = {lease.id for lease in gone}
    kept = tuple(lease for lease in snapshot.leases if lease.id not in ids)
    return replace(snapshot, leases=kept, usage=usage)


def _served(snapshot: Snapshot) -> Snapshot:
    """The host once everybody in line has taken what they are offered."""
    while True:
        offer = first_offer(snapshot)
        if offer is None or not isinstance(offer.decision, Placement):
            return snapshot
        lease = as_lease(offer.ticket, tuple(device.uuid for device in offer.decision.devices))
        snapshot = replace(
            snapshot,
            leases=(*snapshot.leases, lease),
            tickets=tuple(each for each in snapshot.tickets if each.id != offer.ticket.id),
        )
