"""The line of one host: first come, first served, among those who could use the devices.

A later ticket never takes devices that an earlier one could use. A ticket that can be satisfied is
offered its devices. One that cannot yet be satisfied keeps the usable free devices, and no further
share is placed on devices that it needs, so that small requests do not starve a large one. Devices
that it could not use anyway are free for the tickets behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.device import Health
from genvx.core.lease import Lease
from genvx.core.placement import Placement, Refusal, left, place
from genvx.core.value import replace, value

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping

    from genvx.core.claim import EnvironmentKey
    from genvx.core.device import Device
    from genvx.core.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.core.ticket import Ticket


@value
class Standing:
    """The position of one waiting request.

    place: 1 is first in the line; 0 means that it is not in the line just now. reason: why the
    request waits, in a few words.
    """

    place: int
    reason: str


@value
class Position:
    """The position of one ticket in the line.

    place: 1 is first. over_limit: the limit that its owner would exceed, if the ticket waits for
    that.
    """

    ticket: Ticket
    place: int
    decision: Union[Placement, Refusal]
    over_limit: str = ""

    @property
    def offered(self) -> bool:
        """Whether the ticket's holder may take the devices now."""
        return isinstance(self.decision, Placement) and not self.over_limit

    @property
    def standing(self) -> Standing:
        """The position of its request, as people see it."""
        return Standing(self.place, self.reason)

    @property
    def reason(self) -> str:
        """Why the ticket waits, in a few words."""
        if self.over_limit:
            return f"may {self.over_limit}, by policy"
        if isinstance(self.decision, Placement):
            return "its turn"
        wanted = self.decision.requirements.gpus
        return f"{min(self.decision.fitting, wanted)} of {wanted} available"


def line(snapshot: Snapshot) -> tuple[Position, ...]:
    """Return the position of every ticket whose holder attends, in the order of the line."""
    return tuple(_Line(snapshot).positions())


def first_offer(snapshot: Snapshot) -> Optional[Position]:
    """Return the first ticket in the line that may take its devices now."""
    positions = _Line(snapshot).positions(only_offers=True)
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
    found = _Line(snapshot)
    # Without devices there is nothing to wait for, and the line need not be walked.
    if requirements.gpus:
        found.walk(until=ticket)
    return place(
        requirements, found.world, environment=environment, shuffle=shuffle, kept=found.kept
    )


def left_over(snapshot: Snapshot) -> tuple[Snapshot, Mapping[str, str]]:
    """Return a host as a newcomer may use it, and the devices that are kept for others, with why.

    The host includes the shares that waiting tickets would take.
    """
    if not snapshot.tickets:
        return snapshot, {}
    found = _Line(snapshot)
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


def _order(snapshot: Snapshot) -> list[Ticket]:
    waiting = [each for each in snapshot.tickets if each.attends(snapshot.boottime_ns)]
    # Every process must sort alike, or two would each think that they are first; the random id
    # decides between tickets of the same nanosecond.
    return sorted(waiting, key=lambda each: (each.since_ns, each.id))


class _Line:
    """The line of a host, walked from its head.

    `world` and `kept` are what the tickets so far leave for the next one: the host with the shares
    that they would take, and the devices that are kept for them.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.world = snapshot
        self.kept: dict[str, str] = {}

    def walk(self, until: Optional[str] = None) -> None:
        """Walk to the end of the line, or up to one ticket, to learn what is left then."""
        for _ in self.positions(until, only_offers=True):
            pass

    def positions(
        self, until: Optional[str] = None, *, only_offers: bool = False
    ) -> Iterator[Position]:
        """Yield each position in order, up to that of one ticket.

        only_offers: whether tickets that are refused and keep nothing may be left out.
        """
        refused: dict[Requirements, Refusal] = {}
        for number, ticket in enumerate(_order(self._snapshot), 1):
            if ticket.id == until:
                return
            # Until a ticket takes or keeps something, equal requests get equal answers. A long line
            # of the same request would otherwise cost a placement for each ticket.
            known = refused.get(ticket.requirements)
            if known is not None and only_offers and not ticket.keeps:
                continue
            decision = known or place(ticket.requirements, self.world, kept=self.kept)
            position = Position(
                ticket, number, decision, _over_limit(ticket, decision, self._snapshot)
            )
            if self._reserve(position):
                refused.clear()
            elif isinstance(decision, Refusal):
                refused[ticket.requirements] = decision
            yield position

    def _reserve(self, position: Position) -> bool:
        """Keep what a ticket needs from the tickets behind it; return False if it keeps nothing."""
        ticket, decision = position.ticket, position.decision
        if position.over_limit:
            return False  # others may use what this ticket may not have yet
        if isinstance(decision, Refusal):
            if decision.never or not ticket.keeps:
                return False
            uuids = _kept_for(ticket, self.world, self.kept)
            self.kept.update(dict.fromkeys(uuids, f"is kept for {ticket.owner}, who waits"))
        elif ticket.requirements.memory is None:
            uuids = [device.uuid for device in decision.devices]
            self.kept.update(dict.fromkeys(uuids, f"is offered to {ticket.owner}, who has waited"))
        else:
            # A share leaves room for others: count it as if it were held, and place the next beside
            # it.
            lease = as_lease(ticket, tuple(device.uuid for device in decision.devices))
            self.world = replace(self.world, leases=(*self.world.leases, lease))
        return True


def _over_limit(ticket: Ticket, decision: Union[Placement, Refusal], snapshot: Snapshot) -> str:
    """The limit that the ticket's owner would exceed, by the rule that an acquire applies."""
    if ticket.most is None and ticket.most_memory is None:
        return ""
    # Imported here: on most machines there is no policy, and a question should not pay for it.
    from genvx.core.policy import Limit, excess

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


def _kept_for(ticket: Ticket, world: Snapshot, kept: dict[str, str]) -> list[str]:
    """The devices that a ticket keeps while they are too few: the free ones, then the emptiest
    shared.

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
    """Return the lease that a ticket would become on these devices."""
    return Lease(devices, ticket.requirements.memory, **ticket.claimed())
