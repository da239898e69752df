"""Why a request is placed where it is: every host and every device, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.line.queue import decide, left_over
from genvx.core.placing.placement import Placement
from genvx.core.placing.ranking import rank
from genvx.core.requests.obstacles import why_not
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.placing.refusal import Refusal
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot

TAKEN = "would be taken"
SPARE = "would do, not needed"
TOO_FEW = "would do, but there are too few"


@value
class Explanation:
    """The result of a request on one host.

    rank: 1 for the host where it goes; None without room. devices: each device with its reason, in
    index order. refusal: why there is no room.
    """

    host: str
    rank: Optional[int]
    devices: tuple[tuple[Device, str], ...]
    refusal: Optional[Refusal]


def explain(
    requirements: Requirements, snapshots: Mapping[str, Snapshot]
) -> tuple[Explanation, ...]:
    """Explain a request to hosts.

    Hosts with room come first, best first; then the others in the order of the mapping.
    """
    ranked, refusals = rank(requirements, snapshots)
    order = {name: number for number, name in enumerate(ranked, 1)}
    return tuple(
        Explanation(
            host=name,
            rank=order.get(name),
            devices=_devices(requirements, snapshots[name], order.get(name)),
            refusal=refusals.get(name),
        )
        for name in sorted(snapshots, key=lambda name: order.get(name, len(order) + 1))
    )


def _devices(
    requirements: Requirements, snapshot: Snapshot, rank: Optional[int]
) -> tuple[tuple[Device, str], ...]:
    # Only the best host would be asked for devices; on the others nothing "would be taken".
    decision = decide(requirements, snapshot) if rank == 1 else None
    taken = decision.devices if isinstance(decision, Placement) else ()
    # Where the host has no room, a device that fits is not spare: with more like it there would be.
    idle = TOO_FEW if rank is None else SPARE
    uuids = {device.uuid for device in taken}
    world, kept = left_over(snapshot)
    return tuple(
        (
            device,
            TAKEN
            if device.uuid in uuids
            else why_not(device, requirements, world, None, kept) or idle,
        )
        for device in snapshot.devices
    )
