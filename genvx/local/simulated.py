"""Made-up devices, for trying out and for tests.

Never on by itself: only $GENVX_SIMULATE asks for them.
"""

from __future__ import annotations

import functools
import re
from binascii import crc32
from typing import TYPE_CHECKING, Optional

from genvx.core.device import Device, DeviceUsage, Driver
from genvx.core.models import is_profile
from genvx.core.text import printable
from genvx.core.units import parse_memory
from genvx.errors import InvalidInput
from genvx.local.inventory import Inventory

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = 1024
_SLICES = 7  # of the compute of one GPU
_PART = re.compile(
    r"(?:(\d{1,4})x)?([A-Za-z][A-Za-z0-9 .]{0,40}?)-(\d{1,6}(?:[KMGT]i?B?))", re.ASCII
)


@functools.lru_cache(maxsize=16)
def simulate(specification: str, seed: str) -> Inventory:
    """Make the devices of a text such as "2xA100-80GB" or "1xA100-80GB,4xT4-16GB"; "0" makes none.

    "7xA100 1g.10gb-10GB" makes MIG instances.

    seed: tells hosts apart, so that pretend hosts on one machine do not share their UUIDs.

    Raises:
        InvalidInput: the text is not a list of COUNTxMODEL-MEMORY.
    """
    parts = [] if specification.strip() == "0" else specification.split(",")
    kinds = [kind for part in parts for kind in _kinds(part)]
    if len(kinds) > _MOST:
        raise InvalidInput(f"GENVX_SIMULATE: at most {_MOST} devices")
    host = f"{crc32(seed.encode()):08x}"
    gpus = 1 + max((gpu for gpu, _ in _places(kinds)), default=-1)
    devices = [
        Device(
            # Not from the module uuid, which loads OpenSSL: a question to a host that is simulated
            # would cost more than one to a real host.
            uuid=f"SIM-{host}-{number:04x}",
            index=index,
            name=name,
            memory=memory,
            instance=instance,
            parent=None if instance is None else f"SIM-{host}-gpu-{index}",
            simulated=True,
            topology="".join(_way(index, other) for other in range(gpus)),
        )
        for number, ((name, memory, _), (index, instance)) in enumerate(zip(kinds, _places(kinds)))
    ]
    return Inventory(
        driver=Driver(version="simulated", simulated=True),
        devices=tuple(devices),
        usage={d.uuid: DeviceUsage(memory_used=0, utilization=0) for d in devices},
    )


def _kinds(part: str) -> list[tuple[str, int, int]]:
    """Name, memory, and how many there are of one GPU, for each device of a COUNTxMODEL-MEMORY."""
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
    """The index of each device and, for a MIG instance, which of that GPU it is."""
    found: list[tuple[int, Optional[int]]] = []
    gpu, last, used = -1, "", 0
    for name, _, slices in kinds:
        if not slices or name != last or used == slices:
            gpu, used = gpu + 1, 0
        found.append((gpu, used if slices else None))
        last, used = name, used + 1
    return found


def _way(one: int, other: int) -> str:
    """Bridges between pairs, and two nodes of four in turn; see core/topology.py."""
    if one == other:
        return "X"
    if one // 2 == other // 2:
        return "V"
    return "N" if one // 4 % 2 == other // 4 % 2 else "S"
