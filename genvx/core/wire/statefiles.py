"""Leases, tickets and turns as the files of the state directory have them.

What leases and tickets have in common is written and checked once: whose it is, which one, of what,
and since when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.device import VisibleAs
from genvx.core.lease import Lease, Part
from genvx.core.supervision import Supervision
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.ticket import Ticket
from genvx.core.turn import LAST, Turn
from genvx.core.value import replace
from genvx.core.wire.codec import REQUIREMENTS
from genvx.core.wire.fields import Fields, Malformed, dumps, loads
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    device_ids,
    exact_text,
    flag,
    identifier,
    integer,
    one,
    optional,
    string,
    under,
)

if TYPE_CHECKING:
    from typing import Union

    from genvx.core.claim import Owner
    from genvx.core.wire.tables import Plain

T = TypeVar("T")

# The time at which its holder last looked is the last field of a ticket file, padded to this many
# characters. So it can be overwritten in place with one write, and no reader sees half a file.
_SEEN = 20
_SEEN_KEY = b',"seen_boottime_ns":'

_CLAIM: dict[str, Kind[Any]] = {
    "environment_id": under("env", identifier()),
    "name": exact_text(NAME_LIMIT),
    "boot_id": exact_text(64),
    "since_ns": under("since_boottime_ns", integer()),
    "pid": integer(0, 1 << 31),
    "starttime": integer(),
    "host": exact_text(256),
    "command": exact_text(COMMAND_LIMIT),
}

# The id comes from the file's name and the owner from the file's owner, as the kernel reports them.
# What the file itself says of both is only compared, so nobody can forge another's lease.
_LEASE = Table(
    Lease,
    "the lease",
    **_CLAIM,
    devices=device_ids(),
    memory=optional(integer(1)),
    expires_ns=under("expires_boottime_ns", optional(integer())),
    note=exact_text(COMMAND_LIMIT),
    part=choice(Part),
    over=flag(),
    # A word of a newer version must not make a held lease malformed: it would not count, and its
    # devices would be granted again.
    visible_as=choice(VisibleAs, unknown=VisibleAs.UUID),
)

_TICKET = Table(
    Ticket,
    "the ticket",
    **_CLAIM,
    requirements=one(REQUIREMENTS),
    most=optional(integer(0, 1 << 31)),
    most_memory=optional(integer()),
    keeps=flag(),
    seen_ns=under("seen_boottime_ns", integer()),
)

_TURN = Table(
    Turn,
    "the turn",
    environment_id=under("env", identifier()),
    devices=device_ids(),
    number=integer(0, LAST),
    pid=integer(0, 1 << 31),
    command=exact_text(COMMAND_LIMIT),
)

# A path of a file has 4 KiB at most, and so does the whole file here.
_LONGEST_PATH = 3072
_SUPERVISION = Table(
    Supervision,
    "the supervisor",
    pid=integer(1, 1 << 31),
    starttime=integer(),
    directory=string(_LONGEST_PATH),
)


def supervision_to_file(supervision: Supervision) -> bytes:
    """Return the content of a supervisor's file."""
    return dumps({"v": 1, **_SUPERVISION.write(supervision)})


def supervision_from_file(data: bytes, *, owner: Owner, identifier: str) -> Supervision:
    """Read a supervisor's file whose owner and run are these, by the kernel and by its name.

    Raises:
        Malformed: it is none.
    """
    fields = Fields(loads(data), _SUPERVISION.what)
    return _SUPERVISION.read_fields(fields, id=identifier, owner=owner)


def lease_to_file(lease: Lease) -> bytes:
    """Return the content of a lease file.

    The file's owner is the lease's owner; the uid in the content is there to be compared.
    """
    plain = _LEASE.write(lease)
    if lease.part is Part.HELD:
        del plain["part"]  # most files have none; see may_outlive_its_holder
    return _to_file(lease, plain)


def may_outlive_its_holder(data: bytes) -> bool:
    """Whether a lease file that nobody holds may still count: a reservation or an amendment.

    A search of the bytes, because most files are neither and need not be parsed. A name that
    contains `"part":` does not match: JSON writes its quotation marks with a backslash.
    """
    return b'"part":' in data


def ticket_to_file(ticket: Ticket) -> bytes:
    """Return the content of a ticket file, which is like a lease's."""
    plain = _TICKET.write(ticket)
    del plain["seen_boottime_ns"]
    return _to_file(ticket, plain)[:-1] + _SEEN_KEY + b"%-*d}" % (_SEEN, ticket.seen_ns)


def seen_in_ticket(data: bytes, now_ns: int) -> tuple[bytes, int]:
    """Return the bytes to write into a ticket file, and where, when its holder has looked again."""
    return b"%-*d" % (_SEEN, now_ns), len(data) - 1 - _SEEN


def lease_from_file(data: bytes, *, owner: Owner, identifier: str) -> Lease:
    """Read a lease file whose owner is `owner`, by the kernel, and whose name has `identifier`.

    Raises:
        Malformed: it is not a lease, or not the lease that its name and owner say.
    """
    return _from_file(_LEASE, data, owner, identifier)


def ticket_from_file(data: bytes, *, owner: Owner, identifier: str) -> Ticket:
    """Read a ticket file whose owner is `owner`, by the kernel, and whose name has `identifier`.

    Raises:
        Malformed: it is not a ticket, or not the one that its name and owner say.
    """
    return _from_file(_TICKET, data, owner, identifier)


def turn_to_file(turn: Turn) -> bytes:
    """The content of the turn's own file."""
    return dumps({"v": 1, **_TURN.write(turn)})


def turn_from_file(data: bytes, *, owner: Owner, identifier: str) -> Turn:
    """Read the file of a turn that has its number.

    Raises:
        Malformed: it is none.
    """
    turn = _TURN.read_fields(Fields(loads(data), _TURN.what), id=identifier, owner=owner)
    if not turn.number:
        raise Malformed("the turn has no number")
    return turn


def choosing_from_file(data: bytes, *, owner: Owner, identifier: str) -> Turn:
    """Read the file of a turn whose number is being chosen; it is 0 whatever the file says.

    Raises:
        Malformed: it is none.
    """
    turn = _TURN.read_fields(Fields(loads(data), _TURN.what), id=identifier, owner=owner)
    return replace(turn, number=0)


def _to_file(item: Union[Lease, Ticket], plain: Plain) -> bytes:
    return dumps({"v": 1, "id": item.id, "uid": item.owner.uid, **plain})


def _from_file(table: Table[T], data: bytes, owner: Owner, identifier: str) -> T:
    fields = Fields(loads(data), table.what)
    fields.integer("v", 1, 1)
    if fields.identifier("id") != identifier:
        raise Malformed(f"{table.what} is not the one that the file's name says")
    if fields.integer("uid") != owner.uid:
        raise Malformed(f"{table.what} is not of the file's owner")
    return table.read_fields(fields, id=identifier, owner=owner)
