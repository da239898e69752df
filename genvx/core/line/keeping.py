"""What a waiting ticket keeps from those behind it, and when a limit of its owner forbids that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from genvx.core.leases.lease import Lease
from genvx.core.placing.placement import Placement
from genvx.core.requests.preference import left
from genvx.core.usage import Health

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.line.ticket import Ticket
    from genvx.core.placing.refusal import Refusal
    from genvx.core.snapshot import Snapshot


def over_limit(ticket: Ticket, decision: Union[Placement, Refusal], snapshot: Snapshot) -> str:
    """Return the limit that the ticket's owner would exceed, by the rule of an acquire."""
    if ticket.most is None and ticket.most_memory is None:
        return ""
    # Imported here: on most machines there is no policy, and a question should not pay for it.
    from genvx.core.policies.limit import Limit, excess

    if isinstance(decision, Placement):
        devices = decision.devices
    else:
        fitting = [d for d in snapshot.devices if ticket.requirements.mismatch(d) is None]
        # The devices are not chosen yet. Assume the smallest: a ticket that fits the limit with
        # these must not be passed over.
        fitting.sort(key=lambda device: device.memory or 0)
        devices = tuple(fitting[: ticket.requirements.gpus])
    lease = as_lease(ticket, tuple(device.uuid for device in devices))
    memory = {device.uuid: device.memory for device in snapshot.devices}
    limit = Limit(ticket.most, ticket.most_memory)
    return excess(limit, ticket.owner.uid, [*snapshot.leases, lease], memory) or ""


def kept_for(ticket: Ticket, world: Snapshot, kept: dict[str, str]) -> list[str]:
    """Return the devices that a ticket keeps while they are too few: free ones first.

    A device that somebody holds whole cannot be taken by anybody, so it needs no keeping.
    """
    free: list[Device] = []
    shared: list[Device] = []
    for device in world.devices:
        if device.uuid in kept or ticket.requirements.obstacle(device) is not None:
            continue
        if world.usage_of(device).health is not Health.OK or world.in_use(device):
            continue
        held = world.holdings.get(device.uuid, {})
        if not held:
            free.append(device)
        elif None not in held.values():
            shared.append(device)
    shared.sort(key=lambda device: -left(device, world))
    return [device.uuid for device in (free + shared)[: ticket.requirements.gpus]]


def as_lease(ticket: Ticket, devices: tuple[str, ...]) -> Lease:
    """Return a ticket as if it held devices already."""
    return Lease(devices, ticket.requirements.memory, **ticket.claimed())
