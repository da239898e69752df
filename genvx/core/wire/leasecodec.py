"""Tables of leases and tickets, as they go over the wire. Those of files are in statefiles.py."""

from __future__ import annotations

from typing import Any

from genvx.core.device import VisibleAs
from genvx.core.leases.environment import Holder
from genvx.core.leases.lease import Lease, Part
from genvx.core.line.ticket import Ticket
from genvx.core.text import COMMAND_LIMIT, NAME_LIMIT
from genvx.core.wire.requestcodec import OWNER, REQUIREMENTS
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    device_ids,
    flag,
    identifier,
    integer,
    many,
    one,
    optional,
    text,
    under,
)

HOLDER = Table(
    Holder,
    "holder",
    pid=integer(),
    command=text(COMMAND_LIMIT),
    since_ns=integer(),
    stopped=flag(),
    certain=flag(),
)
_CLAIM: dict[str, Kind[Any]] = {
    "id": identifier(),
    "owner": one(OWNER),
    "environment_id": under("environment", identifier()),
    "name": text(NAME_LIMIT),
    "boot_id": text(64),
    "since_ns": integer(),
    "pid": integer(),
    "starttime": integer(),
    "host": text(256),
    "command": text(COMMAND_LIMIT),
}
LEASE = Table(
    Lease,
    "lease",
    **_CLAIM,
    devices=device_ids(),
    memory=optional(integer(1)),
    expires_ns=optional(integer()),
    note=text(COMMAND_LIMIT),
    part=choice(Part),
    over=flag(),
    # A word of a newer version must not make the whole snapshot unreadable. How CUDA names devices
    # decides nothing about who holds them.
    visible_as=choice(VisibleAs, unknown=VisibleAs.UUID),
    holders=optional(many(HOLDER)),
)
TICKET = Table(
    Ticket,
    "ticket",
    **_CLAIM,
    requirements=one(REQUIREMENTS),
    seen_ns=integer(),
    most=optional(integer()),
    keeps=flag(),
    most_memory=optional(integer()),
)
