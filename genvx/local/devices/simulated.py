"""Simulated devices, for trying genvx out and for tests.

They exist only if $GENVX_SIMULATE asks for them.
"""

from __future__ import annotations

import functools
import os
import re
from binascii import crc32
from typing import TYPE_CHECKING, Optional

from genvx.core.device import Device, DeviceUsage, Driver
from genvx.core.models import is_profile
from genvx.core.text import printable
from genvx.core.units import format_memory, parse_memory
from genvx.core.value import replace, value
from genvx.errors import InvalidInput
from genvx.local.devices.inventory import Inventory, process_on_device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST = 1024
_SLICES = 7  # compute slices of one GPU
_PART = re.compile(
    r"(?:(\d{1,4})x)?([A-Za-z][A-Za-z0-9 .]{0,40}?)-(\d{1,6}(?:[KMGT]i?B?))", re.ASCII
)
_USE = re.compile(
    r"(?:process=([1-9]\d{0,6}|/[^:@]{1,1000})(?::([1-9]\d{0,5}[KMGT]i?B?))?(?::(\d{1,2}|100)%)?"
    r"|used=([1-9]\d{0,5}[KMGT]i?B?))@(\d{1,4}(?::\d{1,4})?)",
    re.ASCII,
)


def simulate(specification: str, seed: str) -> Inventory:
    """Make the devices of a text such as "2xA100-80GB" or "1xA100-80GB,4xT4-16GB"; "0" makes none.

    "7xA100 1g.10gb-10GB" makes MIG instances. "process=1234:20G@0" makes process 1234 use GPU 0
    while it lives, with 20 GiB; without a size, the amount is unknown. "process=1234:20G:60%@0"
    makes it busy, too. A path instead of the number is a file that has the number, as soon as it
    has one. "used=20G@0" makes memory of GPU 0 used by no process.

    seed: distinguishes hosts, so that simulated hosts on one machine do not share UUIDs.

    Raises:
        InvalidInput: the text is not a list of these.
    """
    made, uses = _make(specification, seed)
    return replace(made, usage=_in_use(made.usage, uses)) if uses else made


@value
class _Use:
    """A use of a simulated device. process: a pid, or the path of a file that has one; empty for
    memory that no process uses. utilization: percent.
    """

    uuid: str
    process: str
    memory: Optional[int]
    utilization: int = 0


def _in_use(usage: Mapping[str, DeviceUsage], uses: Sequence[_Use]) -> dict[str, DeviceUsage]:
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
def _make(specification: str, seed: str) -> tuple[Inventory, tuple[_Use, ...]]:
    """The idle devices, and the uses of them."""
    parts = [] if specification.strip() == "0" else specification.split(",")
    uses = [part.strip() for part in parts if "=" in part]
    kinds = [kind for part in parts if "=" not in part for kind in _kinds(part)]
    if len(kinds) > _MOST:
        raise InvalidInput(f"GENVX_SIMULATE: at most {_MOST} devices")
    # No number is certain from the first GPU in MIG mode on; see local/devices/findings.py.
    places = _places(kinds)
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
            topology="".join(_way(index, other) for other in range(gpus)),
        )
        for number, ((name, memory, _), (index, instance)) in enumerate(zip(kinds, places))
    ]
    made = Inventory(
        driver=Driver(version="simulated", simulated=True),
        devices=tuple(devices),
        usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in devices},
    )
    return made, tuple(_use(text, devices) for text in uses)


def _use(text: str, devices: Sequence[Device]) -> _Use:
    match = _USE.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"GENVX_SIMULATE: not a use of a device: {printable(text, 60)!r}; "
            "write it like process=1234:20G:60%@0 or used=20G@0"
        )
    process, size, percent, alone, label = match.groups()
    device = next((each for each in devices if each.label == label), None)
    if device is None:
        raise InvalidInput(f"GENVX_SIMULATE: {printable(text, 60)!r}: there is no GPU {label}")
    size = size or alone
    memory = None if size is None else parse_memory(size)
    if memory is not None and device.memory is not None and memory > device.memory:
        raise InvalidInput(
            f"GENVX_SIMULATE: {printable(text, 60)!r}: GPU {label} has "
            f"{format_memory(device.memory)}"
        )
    return _Use(device.uuid, process or "", memory, int(percent or 0))


def _kinds(part: str) -> list[tuple[str, int, int]]:
    """Name, memory, and instances for each GPU, for each device of a COUNTxMODEL-MEMORY."""
    match = _PART.fullmatch(part.strip())
    if match is None:
        raise InvalidInput(
            f"GENVX_SIMULATE: not COUNTxMODEL-MEMORY: {printable(part, 60)!r}; "
            "write it like 2xA100-80GB"
        )
    count, model, memory = match.groups()
    profile = next((word for word in model.split() if is_profile(word)), None)
    slices = _SLICES // max(1, int(profile[0])) if profile else 0
    return [(f"{model}-{memory}", parse_memory(memory), slices)] * int(count or 1)


def _places(kinds: Sequence[tuple[str, int, int]]) -> list[tuple[int, Optional[int]]]:
    """The index of each device and, for a MIG instance, its number on its GPU."""
    found: list[tuple[int, Optional[int]]] = []
    gpu, last, used = -1, "", 0
    for name, _, slices in kinds:
        if not slices or name != last or used == slices:
            gpu, used = gpu + 1, 0
        found.append((gpu, used if slices else None))
        last, used = name, used + 1
    return found


def _way(one: int, other: int) -> str:
    """The simulated link: NVLink between pairs, and NUMA nodes of four; see core/topology.py."""
    if one == other:
        return "X"
    if one // 2 == other // 2:
        return "V"
    return "N" if one // 4 % 2 == other // 4 % 2 else "S"
