"""Tickets as the files of the state directory have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.line.ticket import Ticket
from genvx.core.wire.files.statefiles import CLAIM, from_file, to_file
from genvx.core.wire.requestcodec import REQUIREMENTS
from genvx.core.wire.tables import Table, flag, integer, one, optional, under

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner

# The time at which its holder last looked is the last field of a ticket file, padded to this many
# characters. So it can be overwritten in place with one write, and no reader sees half a file.
_SEEN = 20
_SEEN_KEY = b',"seen_boottime_ns":'
_TICKET = Table(
    Ticket,
    "the ticket",
    **CLAIM,
    requirements=one(REQUIREMENTS),
    most=optional(integer(0, 1 << 31)),
    most_memory=optional(integer()),
    keeps=flag(),
    seen_ns=under("seen_boottime_ns", integer()),
)


def ticket_to_file(ticket: Ticket) -> bytes:
    """Return the content of a ticket file, which is like a lease's."""
    plain = _TICKET.write(ticket)
    del plain["seen_boottime_ns"]
    return to_file(ticket, plain)[:-1] + _SEEN_KEY + b"%-*d}" % (_SEEN, ticket.seen_ns)


def seen_in_ticket(data: bytes, now_ns: int) -> tuple[bytes, int]:
    """Return the bytes to write into a ticket file, and where, when its holder has looked again."""
    return b"%-*d" % (_SEEN, now_ns), len(data) - 1 - _SEEN


def ticket_from_file(data: bytes, *, owner: Owner, identifier: str) -> Ticket:
    """Read a ticket file whose owner is `owner`, by the kernel, and whose name has `identifier`.

    Raises:
        Malformed: it is not a ticket, or not the one that its name and owner say.
    """
    return from_file(_TICKET, data, owner, identifier)
