"""Leases and tickets as the files of the state directory have them.

What is common to both is written and checked once: whose it is, which one, of what, and since when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.codec import requirements_from_plain, requirements_to_plain
from genvx.core.fields import Fields, Malformed, dumps, loads
from genvx.core.lease import Lease, Part
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.ticket import Ticket

if TYPE_CHECKING:
    from typing import Union

    from genvx.core.lease import Owner

# When its holder last looked stands at the end of a ticket's file, in this many characters, so that
# it can be written over in place.
_SEEN = 20
_SEEN_KEY = b',"seen_boottime_ns":'


def lease_to_file(lease: Lease) -> bytes:
    """The content of the lease's own file.

    The owner is the file's owner; the uid is there to be compared.
    """
    part: dict[str, Any] = {} if lease.part is Part.HELD else {"part": lease.part.value}
    if lease.over:
        part["over"] = True
    return dumps(
        _common(lease)
        | {
            "devices": list(lease.devices),
            "memory": lease.memory,
            "expires_boottime_ns": lease.expires_ns,
            "note": lease.note,
        }
        | part
    )


def may_outlive_its_holder(data: bytes) -> bool:
    """Whether a lease's file that nobody holds may still count: one with an end, or an amendment.

    A look at the bytes, for most files are neither: a quotation mark inside of what somebody named
    has a backslash before it.
    """
    return b'"expires_boottime_ns":null' not in data or b'"part":' in data


def ticket_to_file(ticket: Ticket) -> bytes:
    """The content of the ticket's own file, which is like a lease's."""
    data = dumps(
        _common(ticket)
        | {
            "requirements": requirements_to_plain(ticket.requirements),
            "most": ticket.most,
            "most_memory": ticket.most_memory,
            "keeps": ticket.keeps,
        }
    )
    return data[:-1] + _SEEN_KEY + b"%-*d}" % (_SEEN, ticket.seen_ns)


def seen_in_ticket(data: bytes, now_ns: int) -> tuple[bytes, int]:
    """What to write where into a ticket's file when its holder has looked again."""
    return b"%-*d" % (_SEEN, now_ns), len(data) - 1 - _SEEN


def lease_from_file(data: bytes, *, owner: Owner, identifier: str) -> Lease:
    """Read a lease file that the kernel says is `owner`'s and whose name says `identifier`.

    Raises:
        Malformed: it is not a lease, or not the lease that its name and owner say.
    """
    fields = Fields(loads(data), "the lease")
    return Lease(
        **_read_common(fields, "lease", owner, identifier),
        devices=fields.device_ids("devices"),
        memory=fields.optional_integer("memory", 1),
        expires_ns=fields.optional_integer("expires_boottime_ns"),
        note=fields.exact_text("note", COMMAND_LIMIT),
        part=_part(fields),
        over=fields.flag("over") if fields.has("over") else False,
    )


def _part(fields: Fields) -> Part:
    if not fields.has("part"):
        return Part.HELD
    try:
        return Part(fields.exact_text("part", 16))
    except ValueError:
        raise Malformed("not a part that a lease can have") from None


def ticket_from_file(data: bytes, *, owner: Owner, identifier: str) -> Ticket:
    """Read a ticket's file that the kernel says is `owner`'s and whose name says `identifier`.

    Raises:
        Malformed: it is not a ticket, or not the one that its name and owner say.
    """
    fields = Fields(loads(data), "the ticket")
    return Ticket(
        **_read_common(fields, "ticket", owner, identifier),
        requirements=requirements_from_plain(fields.raw("requirements")),
        seen_ns=fields.integer("seen_boottime_ns"),
        most=fields.optional_integer("most", 0, 1 << 31),
        most_memory=fields.optional_integer("most_memory"),
        keeps=fields.flag("keeps"),
    )


def _common(item: Union[Lease, Ticket]) -> dict[str, Any]:
    return {
        "v": 1,
        "id": item.id,
        "uid": item.owner.uid,
        "env": item.environment,
        "name": item.name,
        "boot_id": item.boot_id,
        "since_boottime_ns": item.since_ns,
        "pid": item.pid,
        "starttime": item.starttime,
        "host": item.host,
        "command": item.command,
    }


def _read_common(fields: Fields, what: str, owner: Owner, identifier: str) -> dict[str, Any]:
    fields.integer("v", 1, 1)
    if fields.identifier("id") != identifier:
        raise Malformed(f"the {what} is not the one that the file's name says")
    if fields.integer("uid") != owner.uid:
        raise Malformed(f"the {what} is not of the file's owner")
    return {
        "id": identifier,
        "owner": owner,
        "environment": fields.identifier("env"),
        "name": fields.exact_text("name", NAME_LIMIT),
        "boot_id": fields.exact_text("boot_id", 64),
        "since_ns": fields.integer("since_boottime_ns"),
        "pid": fields.integer("pid", 0, 1 << 31),
        "starttime": fields.integer("starttime"),
        "host": fields.exact_text("host", 256),
        "command": fields.exact_text("command", COMMAND_LIMIT),
    }
