"""Whose turn it is on one host: first come, first served, among those who could use the devices.

Nobody who comes later takes what somebody before could use. What the first can take is offered to
him; while that is not enough, he keeps what there is, and what others share is filled up no
further, so that small requests do not starve a large one. What he could not use anyway is free for
those behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.device import Health
from genvx.core.lease import EnvironmentKey, Lease, held_by
from genvx.core.placement import Placement, Refusal, left, place
from genvx.core.record import dataclass, replace

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.request import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.core.ticket import Ticket


@dataclass(frozen=True)
class Standing:
    """How it stands for one who waits. place: 1 is first in the line; 0, not in it just now.

    reason: why he waits, in a few words.
    """

    place: int
    reason: str


@dataclass(frozen=True)
class Turn:
    """How it stands for one ticket. place: 1 is first in the line."""

    ticket: Ticket
    place: int
    decision: Union[Placement, Refusal]
    over_limit: bool = False

    @property
    def offered(self) -> bool:
        """Whether its holder may take its devices now."""
        return isinstance(self.decision, Placement) and not self.over_limit

    @property
    def standing(self) -> Standing:
        return Standing(self.place, self.reason)

    @property
    def reason(self) -> str:
        """Why it waits, in a few words."""
        if self.over_limit:
            return f"holds {self.ticket.most} at most by policy"
        if isinstance(self.decision, Placement):
            return "its turn"
        wanted = self.decision.requirements.gpus
        return f"{min(self.decision.fitting, wanted)} of {wanted} available"


def line(snapshot: Snapshot) -> tuple[Turn, ...]:
    """How it stands for everybody who waits and attends, in the order of the line."""
    return _line(snapshot, _order(snapshot))[0]


def decide(
    requirements: Requirements,
    snapshot: Snapshot,
    *,
    environment: Optional[EnvironmentKey] = None,
    shuffle: Optional[random.Random] = None,
    ticket: Optional[str] = None,
) -> Union[Placement, Refusal]:
    """Choose devices on one host behind all those who were there first.

    ticket: the id of the one who asks, if he waits; those behind it do not count.
    """
    ahead = _order(snapshot)
    own = next((at for at, other in enumerate(ahead) if other.id == ticket), len(ahead))
    world, kept = snapshot, dict[str, str]()
    if own and requirements.gpus:
        _, world, kept = _line(snapshot, ahead[:own])
    return place(requirements, world, environment=environment, shuffle=shuffle, kept=kept)


def left_over(snapshot: Snapshot) -> tuple[Snapshot, Mapping[str, str]]:
    """A host as it is for somebody who comes now: with what those who wait will share of it, and
    the devices that are kept for them, with why.
    """
    if not snapshot.tickets:
        return snapshot, {}
    _, world, kept = _line(snapshot, _order(snapshot))
    return world, kept


def turn_of(ticket: str, snapshot: Snapshot) -> Optional[Turn]:
    """How it stands for one ticket; None if it is not there, or its holder does not attend."""
    return next((turn for turn in line(snapshot) if turn.ticket.id == ticket), None)


def _order(snapshot: Snapshot) -> list[Ticket]:
    waiting = [each for each in snapshot.tickets if each.attends(snapshot.boottime_ns)]
    return sorted(waiting, key=lambda each: (each.since_ns, each.id))


def _line(
    snapshot: Snapshot, tickets: list[Ticket]
) -> tuple[tuple[Turn, ...], Snapshot, dict[str, str]]:
    """The turns, and what is left for who comes after: a host with what the shares would take,
    and the devices that are kept.
    """
    turns: list[Turn] = []
    kept: dict[str, str] = {}
    world = snapshot
    for ticket in tickets:
        decision = place(ticket.requirements, world, kept=kept)
        over = _over_limit(ticket, snapshot)
        turns.append(Turn(ticket, len(turns) + 1, decision, over))
        if over:
            continue  # what he may not have yet is not kept from others
        if isinstance(decision, Refusal):
            if not decision.never:
                words = f"is kept for {ticket.owner}, who waits"
                kept.update((uuid, words) for uuid in _kept_for(ticket, world, kept))
        elif ticket.requirements.memory is None:
            words = f"is offered to {ticket.owner}, who has waited"
            kept.update((device.uuid, words) for device in decision.devices)
        else:
            lease = _as_lease(ticket, tuple(device.uuid for device in decision.devices))
            world = replace(world, leases=(*world.leases, lease))
    return tuple(turns), world, kept


def _over_limit(ticket: Ticket, snapshot: Snapshot) -> bool:
    if ticket.most is None:
        return False
    return held_by(snapshot.leases, ticket.owner.uid) + ticket.requirements.gpus > ticket.most


def _kept_for(ticket: Ticket, world: Snapshot, kept: dict[str, str]) -> list[str]:
    """What somebody keeps who cannot have enough yet: what would do now, and then what is shared
    and emptiest. What somebody else has whole cannot be taken by anybody anyway.
    """
    free: list[Device] = []
    shared: list[Device] = []
    for device in world.devices:
        if device.uuid in kept or ticket.requirements.mismatch(device) is not None:
            continue
        if world.usage_of(device).health is not Health.OK or world.foreign(device):
            continue
        held = world.holdings.get(device.uuid, {})
        if not held:
            free.append(device)
        elif None not in held.values():
            shared.append(device)
    shared.sort(key=lambda device: -left(device, world))
    return [device.uuid for device in (free + shared)[: ticket.requirements.gpus]]


def _as_lease(ticket: Ticket, devices: tuple[str, ...]) -> Lease:
    return Lease(
        id=ticket.id,
        owner=ticket.owner,
        environment=ticket.environment,
        name=ticket.name,
        devices=devices,
        memory=ticket.requirements.memory,
        boot_id=ticket.boot_id,
        since_ns=ticket.since_ns,
    )
