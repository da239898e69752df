"""The table of a snapshot of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.snapshot import Snapshot
from genvx.core.wire.devicecodec import DEVICE, DRIVER, USAGE
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.leasecodec import LEASE, TICKET
from genvx.core.wire.tables import Kind, Table, integer, many, one, optional, text, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.usage import DeviceUsage
    from genvx.core.wire.fields import Fields


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
    ends_ns=optional(integer()),
)
