"""The walk along the line of a host, and what each ticket leaves for those behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.line.keeping import as_lease, kept_for, over_limit
from genvx.core.line.position import Position
from genvx.core.placing.placement import place
from genvx.core.placing.refusal import Refusal
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.line.ticket import Ticket
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def _order(snapshot: Snapshot) -> list[Ticket]:
    waiting = [each for each in snapshot.tickets if each.attends(snapshot.boottime_ns)]
    # Every process must sort alike, or two would each think that they are first; the random id
    # decides between tickets of the same nanosecond.
    return sorted(waiting, key=lambda each: (each.since_ns, each.id))


class Walk:
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
                ticket, number, decision, over_limit(ticket, decision, self._snapshot)
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
            uuids = kept_for(ticket, self.world, self.kept)
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
