"""Leases and tickets that this process holds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.wire.files import ticketfiles
from genvx.local.state.heldfile import HeldFile
from genvx.local.state.kinds import LEASE, TICKET
from genvx.local.state.saying import saying

if TYPE_CHECKING:
    from genvx.core.leases.lease import Lease
    from genvx.core.line.ticket import Ticket


class HeldLease(HeldFile):
    """The file of a published lease whose lock this process holds."""

    def __init__(self, lease: Lease, descriptor: int, directory: int) -> None:
        super().__init__(LEASE.name(lease.id), descriptor, directory)
        self.lease = lease


class HeldTicket(HeldFile):
    """The file of a published ticket whose lock this process holds."""

    def __init__(self, ticket: Ticket, descriptor: int, directory: int) -> None:
        super().__init__(TICKET.name(ticket.id), descriptor, directory)
        self.ticket = ticket
        self._data = TICKET.write(ticket)

    def attend(self, now_ns: int) -> None:
        """Record that the ticket's holder is still looking."""
        with saying("keep the place in the line"):
            # In place and at a fixed width, so that no reader sees half a time, and the lock stays.
            os.pwrite(self.descriptor, *ticketfiles.seen_in_ticket(self._data, now_ns))
