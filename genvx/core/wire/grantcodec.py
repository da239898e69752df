"""Tables of what a host answers about environments, and of what is wrong on it."""

from __future__ import annotations

from genvx.core.device import VisibleAs
from genvx.core.leases.environment import Environment
from genvx.core.leases.grant import Grant
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.wire.devicecodec import DEVICE
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.leasecodec import HOLDER
from genvx.core.wire.requestcodec import OWNER
from genvx.core.wire.tables import (
    Table,
    choice,
    device_ids,
    identifier,
    integer,
    integers,
    many,
    one,
    optional,
    text,
    texts,
    under,
)

ENVIRONMENT = Table(
    Environment,
    "environment",
    id=identifier(),
    name=text(NAME_LIMIT),
    owner=one(OWNER),
    since_ns=integer(),
    devices=device_ids(),
    memory=optional(integer(1)),
    pids=integers(10_000),
    command=text(COMMAND_LIMIT),
    expires_ns=optional(integer()),
    visible_as=choice(VisibleAs, unknown=VisibleAs.UUID),
    holders=optional(many(HOLDER)),
)
GRANT = Table(
    Grant,
    "grant",
    environment_id=under("environment", identifier()),
    name=text(NAME_LIMIT),
    owner=one(OWNER),
    devices=many(DEVICE, MOST_DEVICES),
    memory=optional(integer(1)),
    notes=texts(MESSAGE_LIMIT, 100),
    seconds=optional(integer()),
    lease=text(32),
    visible_as=choice(VisibleAs, unknown=VisibleAs.UUID),
)
