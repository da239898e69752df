"""Sizes of memory, counts and percents, between text for people and numbers. Bytes are int.

Sizes are binary however they are spelt: 80G, 80GB and 80GiB are all 80 x 2**30 bytes, because
nvidia-smi, Slurm and the names of GPUs mean that by them.
"""

from __future__ import annotations

import re

from genvx.core.text import printable
from genvx.errors import InvalidQuantity

_SIZE = r"(?ai)(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?"
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
# 1 PiB: far above any device, and far below 2**63, the limit of the wire.
_MOST_BYTES = 1 << 50


def parse_memory(text: str) -> int:
    """Return the bytes that "40G", "40GiB", "512 MiB" or "0.5t" mean.

    Raises:
        InvalidQuantity: not a size, zero, negative, no unit, or beyond 1 PiB.
    """
    match = re.fullmatch(_SIZE, text.strip())
    shown = printable(text, 40)
    if match is None:
        raise InvalidQuantity(f"not a size of memory: {shown!r}; write it like 40G or 512MiB")
    number, unit = match.groups()
    if not unit:
        raise InvalidQuantity(f"{shown!r} has no unit; write it like 40G or 512MiB")
    size = int(float(number) * 1024 ** _POWER[unit.lower()])
    if not 0 < size <= _MOST_BYTES:
        raise InvalidQuantity(f"out of range: {shown!r}; a size is more than 0 and at most 1024T")
    return size


def format_memory(size: int | None) -> str:
    """Show bytes in binary units: "80 GiB", "1.5 GiB", "512 MiB"; None is "?"."""
    if size is None:
        return "?"
    if size >= 1 << 30:
        return f"{size / (1 << 30):.1f}".rstrip("0").rstrip(".") + " GiB"
    return f"{size // (1 << 20)} MiB"


def format_size(size: int) -> str:
    """Show bytes of files: "71 bytes", "12 KiB", and larger ones as `format_memory`."""
    if size >= 1 << 20:
        return format_memory(size)
    return f"{size >> 10} KiB" if size >= 1 << 10 else f"{size} byte{'' if size == 1 else 's'}"


def format_percent(share: int | None) -> str:
    """Show percent: "17 %"; None is "?"."""
    return "?" if share is None else f"{share} %"


def parse_count(text: str, what: str, most: int = 4096) -> int:
    """Return the whole number from 0 to `most` that `text` says; `what` names it in the error.

    Raises:
        InvalidQuantity: not a whole number, negative, or more than `most`.
    """
    stripped = text.strip()
    if not re.fullmatch(r"\d{1,9}", stripped, re.ASCII) or int(stripped) > most:
        raise InvalidQuantity(
            f"{what} is a whole number from 0 to {most}, not {printable(text, 40)!r}"
        )
    return int(stripped)
