"""Tables of the values that go over the wire. Those of files are in core/wire/statefiles.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.claim import Owner
from genvx.core.device import VisibleAs
from genvx.core.environment import Environment, Holder
from genvx.core.finding import Finding, Severity
from genvx.core.grant import Grant
from genvx.core.lease import Lease, Part
from genvx.core.requirements import MODEL_LIMIT, MOST_MODELS, Requirements, Strategy
from genvx.core.snapshot import Snapshot
from genvx.core.text import COMMAND_LIMIT, MESSAGE_LIMIT, NAME_LIMIT
from genvx.core.ticket import Ticket
from genvx.core.wire.devicecodec import DEVICE, DRIVER, USAGE
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    device_ids,
    flag,
    identifier,
    integer,
    integers,
    many,
    one,
    optional,
    strings,
    text,
    texts,
    under,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.usage import DeviceUsage
    from genvx.core.wire.fields import Fields

# Every length has a limit: a host may be hostile, and must not fill our memory. Real values stay
# far below the limits.
OWNER = Table(Owner, "owner", uid=integer(0, 1 << 32), name=text(64))

REQUIREMENTS = Table(
    Requirements,
    "requirements",
    gpus=integer(),
    memory=optional(integer(1)),
    among=optional(integers()),
    models=strings(MODEL_LIMIT, MOST_MODELS),
    at_least=optional(integer(1)),
    at_most=optional(integer(1)),
    devices=strings(128, MOST_DEVICES),
    strategy=choice(Strategy),
    over=flag(),
    visible_as=optional(choice(VisibleAs)),
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

FINDING = Table(
    Finding,
    "finding",
    check=text(64),
    severity=choice(Severity),
    result=text(MESSAGE_LIMIT),
    advice=text(MESSAGE_LIMIT),
)


def _read_usage(fields: Fields, key: str) -> Mapping[str, DeviceUsage]:
    # A hostile host may send readings of any number of devices that it does not have.
    known = {item.get("uuid") for item in fields.items("devices") if isinstance(item, dict)}
    given = fields.mapping(key, MOST_DEVICES)
    return {uuid: USAGE.read(item) for uuid, item in given.items() if uuid in known}


def _write_usage(usage: Mapping[str, DeviceUsage]) -> dict[str, Any]:
    return {uuid: USAGE.write(item) for uuid, item in usage.items()}


SNAPSHOT = Table(
    Snapshot,
    "snapshot",
    hostname=text(256),
    version=text(64),
    boot_id=text(64),
    boottime_ns=integer(),
    driver=one(DRIVER),
    devices=many(DEVICE, MOST_DEVICES),
    usage=Kind(_read_usage, _write_usage),  # by UUID, of devices in `devices` only
    leases=many(LEASE),
    odd=texts(512, 10_000),
    desktop_memory=integer(),
    tickets=many(TICKET),
)
