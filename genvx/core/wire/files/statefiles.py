"""What the files of leases and tickets have in common.

It is written and checked once: whose they are, which one, of what, and since when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.wire.fields import Fields
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.core.wire.tables import (
    Kind,
    Table,
    exact_text,
    identifier,
    integer,
    under,
)

if TYPE_CHECKING:
    from typing import Union

    from genvx.core.leases.claim import Owner
    from genvx.core.leases.lease import Lease
    from genvx.core.line.ticket import Ticket
    from genvx.core.wire.tables import Plain

T = TypeVar("T")

CLAIM: dict[str, Kind[Any]] = {
    "environment_id": under("env", identifier()),
    "name": exact_text(NAME_LIMIT),
    "boot_id": exact_text(64),
    "since_ns": under("since_boottime_ns", integer()),
    "pid": integer(0, 1 << 31),
    "starttime": integer(),
    "host": exact_text(256),
    "command": exact_text(COMMAND_LIMIT),
}


def to_file(item: Union[Lease, Ticket], plain: Plain) -> bytes:
    """Return the content of a file, from the fields of its own."""
    return dumps({"v": 1, "id": item.id, "uid": item.owner.uid, **plain})


def from_file(table: Table[T], data: bytes, owner: Owner, identifier: str) -> T:
    """Read a file whose owner is `owner`, by the kernel, and whose name has `identifier`.

    Raises:
        Malformed: it cannot be read, or it is not the one that its name and owner say.
    """
    fields = Fields(loads(data), table.what)
    fields.integer("v", 1, 1)
    if fields.identifier("id") != identifier:
        raise Malformed(f"{table.what} is not the one that the file's name says")
    if fields.integer("uid") != owner.uid:
        raise Malformed(f"{table.what} is not of the file's owner")
    return table.read_fields(fields, id=identifier, owner=owner)
