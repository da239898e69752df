"""Tables of devices and their use, for the wire and for the child process that asks NVML."""

from __future__ import annotations

from genvx.core.device import Device
from genvx.core.text import COMMAND_LIMIT
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Health, Sensors
from genvx.core.wire.fields import MOST_DEVICES
from genvx.core.wire.tables import (
    Table,
    choice,
    device_id,
    exact_text,
    flag,
    integer,
    many,
    one,
    optional,
    text,
    texts,
)

DEVICE = Table(
    Device,
    "device",
    uuid=device_id(),
    index=integer(0, 1 << 20),
    name=text(128),
    memory=optional(integer(1)),
    instance=optional(integer(0, 1 << 10)),
    parent=optional(device_id()),
    simulated=flag(),
    topology=exact_text(MOST_DEVICES),
    shareable=flag(),
    oversubscribable=flag(),
    unified=flag(),
    ordinal=optional(integer(0, MOST_DEVICES)),
)

PROCESS = Table(
    DeviceProcess,
    "process",
    pid=integer(),
    uid=optional(integer()),
    user=text(64),
    command=text(COMMAND_LIMIT),
    memory=optional(integer()),
    compute=flag(),
    utilization=optional(integer(0, 1000)),
    mps=flag(),
)

SENSORS = Table(
    Sensors,
    "sensors",
    power_mw=optional(integer()),
    temperature=optional(integer(0, 1000)),
    sm_clock_mhz=optional(integer()),
    memory_clock_mhz=optional(integer()),
    ecc_corrected=optional(integer()),
    ecc_uncorrected=optional(integer()),
)

USAGE = Table(
    DeviceUsage,
    "usage",
    health=choice(Health, unknown=Health.UNKNOWN),  # never handed out
    reason=text(256),
    memory_used=optional(integer()),
    utilization=optional(integer(0, 1000)),
    processes=optional(many(PROCESS)),
    sensors=optional(one(SENSORS)),
)

DRIVER = Table(
    Driver,
    "driver",
    version=optional(text(64)),
    error=optional(text(512)),
    simulated=flag(),
    notes=texts(512, 256),
)
