"""Reads what people type for devices.

2                    two devices
A100:2               two of a model
A100,H100:80G..:2    two of either model, each of 80 GB or more
24G..48G             one of a size in between
1g.10gb:2            two MIG instances
"""

from __future__ import annotations

import re
from typing import Optional

from genvx.core.device import MOST_DEVICES
from genvx.core.quantities.amounts import parse_count, parse_memory
from genvx.core.requests.models import MODEL
from genvx.core.text import printable
from genvx.errors import InvalidQuantity

# From here on a bare number is read as a model: no host has this many devices, and 3090 is a GPU.
_MODEL_NUMBERS = 1000

# "2xA100", as in GENVX_SIMULATE: people type it here too, and are shown the right form.
_TIMES = re.compile(r"(\d{1,4}) ?[xX] ?([A-Za-z][A-Za-z0-9 ._+-]*)", re.ASCII)
_SIZES = re.compile(r"([0-9][0-9. ]*[KMGTkmgt]i?[Bb]?)?(\.\.)?([0-9][0-9. ]*[KMGTkmgt]i?[Bb]?)?")


def parse_gpus(
    text: Optional[str],
) -> tuple[Optional[int], tuple[str, ...], Optional[int], Optional[int]]:
    """Split a request into COUNT, MODELS and the two SIZES; each of them may be missing."""
    count: Optional[int] = None
    models: tuple[str, ...] = ()
    at_least = at_most = None
    if text is None:
        return count, models, at_least, at_most
    parts = [part.strip() for part in text.split(":")]
    if re.fullmatch(r"[+-]?\d*(?:\.\d*)?", parts[-1], re.ASCII):
        count = parse_count(parts.pop(), "--gpus", MOST_DEVICES)
        # "3090" would otherwise wait for 3,090 devices.
        if count >= _MODEL_NUMBERS and not parts:
            raise InvalidQuantity(f"{count} GPUs? a model whose name is a number is {count}:1")
    if parts and _sizes(parts[-1]):
        at_least, at_most = _sizes(parts.pop()) or (None, None)
    if parts:
        models = tuple(model.strip() for model in parts.pop(0).split(","))
    # Read as a model, "2xA100" would fail with the message that no host has such a device.
    for times in filter(None, map(_TIMES.fullmatch, models)):
        raise InvalidQuantity(f"{times[1]} {times[2]} GPUs are written {times[2]}:{times[1]}")
    if parts or not all(re.fullmatch(MODEL, model) for model in models):
        raise InvalidQuantity(
            f"not a request for GPUs: {printable(text, 60)!r}; write it like 2, A100:2 or "
            "A100,H100:80G..:2"
        )
    return count, models, at_least, at_most


def _sizes(text: str) -> Optional[tuple[Optional[int], Optional[int]]]:
    """The bounds of "80G", "80G..", "..24G" or "24G..48G"; None if this is no size."""
    match = _SIZES.fullmatch(text)
    if match is None or not (match[1] or match[3]) or (match[3] and not match[2]):
        return None
    low, _, high = match.groups()
    return (parse_memory(low) if low else None), (parse_memory(high) if high else None)
