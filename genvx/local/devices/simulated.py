"""Simulated devices, for trying genvx out and for tests.

They exist only if $GENVX_SIMULATE asks for them.
"""

from __future__ import annotations

import functools
import os
from binascii import crc32
from typing import TYPE_CHECKING, Optional

from genvx.core.device import Device
from genvx.core.usage import DeviceUsage, Driver, Sensors
from genvx.core.value import replace
from genvx.errors import InvalidInput
from genvx.local.devices.inventory import Inventory, process_on_device
from genvx.local.devices.simulatedlayout import places_of, way_between
from genvx.local.devices.simulatedtext import Use, kinds_of, use_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 1024


def simulate(specification: str, seed: str, *, sensors: bool = False) -> Inventory:
    """Make the devices of a text such as "2xA100-80GB" or "1xA100-80GB,4xT4-16GB"; "0" makes none.

    "7xA100 1g.10gb-10GB" makes MIG instances. "process=1234:20G@0" makes process 1234 use GPU 0
    while it lives, with 20 GiB; without a size, the amount is unknown. "process=1234:20G:60%@0"
    makes it busy, too. A path instead of the number is a file that has the number, as soon as it
    has one. "used=20G@0" makes memory of GPU 0 used by no process.

    seed: distinguishes hosts, so that simulated hosts on one machine do not share UUIDs. sensors:
    also make up what sensors of such devices would read.

    Raises:
        InvalidInput: the text is not a list of these.
    """
    made, uses = _make(specification, seed)
    if uses:
        made = replace(made, usage=_in_use(made.usage, uses))
    if sensors:
        made = replace(made, usage={uuid: _sensed(now) for uuid, now in made.usage.items()})
    return made


def _sensed(usage: DeviceUsage) -> DeviceUsage:
    busy = usage.utilization or 0
    return replace(
        usage,
        sensors=Sensors(
            power_mw=60_000 + 3_400 * busy,
            temperature=30 + busy // 2,
            sm_clock_mhz=210 + 12 * busy,
            memory_clock_mhz=1593,
            ecc_corrected=0,
            ecc_uncorrected=0,
        ),
    )


def _in_use(usage: Mapping[str, DeviceUsage], uses: Sequence[Use]) -> dict[str, DeviceUsage]:
    """The devices' use now: a process uses its device while it lives."""
    found = dict(usage)
    for use in uses:
        now = found[use.uuid]
        running = now.processes or ()
        if use.process:
            pid = _pid(use.process)
            if pid is None or not os.path.exists(f"/proc/{pid}"):
                continue
            running += (process_on_device(pid, use.memory, use.utilization),)
        found[use.uuid] = replace(
            now,
            memory_used=(now.memory_used or 0) + (use.memory or 0),
            utilization=min(100, (now.utilization or 0) + use.utilization),
            processes=running,
        )
    return found


def _pid(process: str) -> Optional[int]:
    if not process.startswith("/"):
        return int(process)
    try:
        with open(process, encoding="ascii") as file:
            return int(file.read(16))
    except (OSError, ValueError):
        return None


# A process that waits asks again and again; the devices of a text never change, only their use
# does.
@functools.lru_cache(maxsize=16)
def _make(specification: str, seed: str) -> tuple[Inventory, tuple[Use, ...]]:
    """The idle devices, and the uses of them."""
    parts = [] if specification.strip() == "0" else specification.split(",")
    uses = [part.strip() for part in parts if "=" in part]
    kinds = [kind for part in parts if "=" not in part for kind in kinds_of(part)]
    if len(kinds) > _MOST:
        raise InvalidInput(f"GENVX_SIMULATE: at most {_MOST} devices")
    # No number is certain from the first GPU in MIG mode on; see local/devices/findings.py.
    places = places_of(kinds)
    instances = min((gpu for gpu, slot in places if slot is not None), default=len(kinds))
    host = f"{crc32(seed.encode()):08x}"
    gpus = 1 + max((gpu for gpu, _ in places), default=-1)
    devices = [
        Device(
            # Not from the module uuid: it loads OpenSSL, so that a question to a simulated host
            # would cost more than one to a real host.
            uuid=f"SIM-{host}-{number:04x}",
            index=index,
            name=name,
            memory=memory,
            instance=instance,
            parent=None if instance is None else f"SIM-{host}-gpu-{index}",
            simulated=True,
            ordinal=index if index < instances else None,
            topology="".join(way_between(index, other) for other in range(gpus)),
        )
        for number, ((name, memory, _), (index, instance)) in enumerate(zip(kinds, places))
    ]
    made = Inventory(
        driver=Driver(version="simulated", simulated=True),
        devices=tuple(devices),
        usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in devices},
    )
    return made, tuple(use_of(text, devices) for text in uses)
