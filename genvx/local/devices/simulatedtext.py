"""Reads the parts of $GENVX_SIMULATE: kinds of devices, and uses of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.amounts import format_memory, parse_memory
from genvx.core.requests.models import is_profile
from genvx.core.text import printable
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import Device

_SLICES = 7  # compute slices of one GPU
_PART = r"(?a)(?:(\d{1,4})x)?([A-Za-z][A-Za-z0-9 .]{0,40}?)-(\d{1,6}(?:[KMGT]i?B?))"
_USE = (
    r"(?a)(?:process=([1-9]\d{0,6}|/[^:@]{1,1000})(?::([1-9]\d{0,5}[KMGT]i?B?))?"
    r"(?::(\d{1,2}|100)%)?|used=([1-9]\d{0,5}[KMGT]i?B?))@(\d{1,4}(?::\d{1,4})?)"
)


@value
class Use:
    """A use of a simulated device. process: a pid, or the path of a file that has one; empty for
    memory that no process uses. utilization: percent.
    """

    uuid: str
    process: str
    memory: Optional[int]
    utilization: int = 0


def use_of(text: str, devices: Sequence[Device]) -> Use:
    """Return the use of one of these devices that a text such as "used=20G@0" means."""
    match = re.fullmatch(_USE, text)
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
    return Use(device.uuid, process or "", memory, int(percent or 0))


def kinds_of(part: str) -> list[tuple[str, int, int]]:
    """Return name, memory, and instances for each GPU, for each device of a COUNTxMODEL-MEMORY."""
    match = re.fullmatch(_PART, part.strip())
    if match is None:
        raise InvalidInput(
            f"GENVX_SIMULATE: not COUNTxMODEL-MEMORY: {printable(part, 60)!r}; "
            "write it like 2xA100-80GB"
        )
    count, model, memory = match.groups()
    profile = next((word for word in model.split() if is_profile(word)), None)
    slices = _SLICES // max(1, int(profile[0])) if profile else 0
    return [(f"{model}-{memory}", parse_memory(memory), slices)] * int(count or 1)
