"""What leases hold after the amendments of their environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.leases.lease import Lease, Part, age_order
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.leases.claim import EnvironmentKey


def amended(held: Sequence[Lease], amendments: Sequence[Lease]) -> tuple[Lease, ...]:
    """Return the leases as they count, oldest first, with attached devices and without detached
    ones.

    Devices are attached only to living environments. Devices are detached only from leases that are
    older than the detachment.

    If a scan misses an amendment, no held device looks free: a detachment is undone only by a later
    attachment, and that is published and verified as leases are.
    """
    if not amendments:
        return tuple(sorted(held, key=age_order))
    living = {lease.key for lease in held}
    gone: dict[tuple[EnvironmentKey, str], int] = {}
    for lease in amendments:
        if lease.part is Part.DETACHED:
            for uuid in lease.devices:
                place = (lease.key, uuid)
                gone[place] = max(gone.get(place, 0), lease.since_ns)
    attached = (a for a in amendments if a.part is Part.ATTACHED and a.key in living)
    found = []
    for lease in [*held, *attached]:
        kept = tuple(u for u in lease.devices if gone.get((lease.key, u), -1) < lease.since_ns)
        if kept or not lease.amends:
            found.append(lease if kept == lease.devices else replace(lease, devices=kept))
    return tuple(sorted(found, key=age_order))
