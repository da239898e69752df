"""Sizes and times, between text for people and numbers. Bytes are int, times are float seconds.

Sizes are binary however they are spelt: 80G, 80GB and 80GiB are all 80 x 2**30 bytes, because
nvidia-smi, Slurm and the names of GPUs mean that by them.
"""

from __future__ import annotations

import re

from genvx.core.text import printable
from genvx.errors import InvalidQuantity

_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE | re.ASCII)
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_TIME = re.compile(
    r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9}(?:\.\d{1,3})?)s)?", re.ASCII
)
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,3})?", re.ASCII)
# As Slurm writes them: 1:00:00, 1-00:00:00, and 1-12 or 1-12:30 with days.
_CLOCK = re.compile(
    r"(?:(\d{1,6})-(?=\d{1,2}(?::|$))|(?=\d+:\d+:))"
    r"(\d{1,6})(?::(\d{1,2}))?(?::(\d{1,2}))?",
    re.ASCII,
)
# 1 PiB: far above any device, and far below 2**63, the limit of the wire.
_MOST_BYTES = 1 << 50
_STEPS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_BRIEF = {"day": "d", "hour": "h", "minute": "min", "second": "s"}
_AGE = re.compile(r"(\d+) (day|hour|minute|second)s? ago")


def parse_memory(text: str) -> int:
    """Return the bytes that "40G", "40GiB", "512 MiB" or "0.5t" mean.

    Raises:
        InvalidQuantity: not a size, zero, negative, no unit, or beyond 1 PiB.
    """
    match = _SIZE.fullmatch(text.strip())
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


def format_percent(share: int | None) -> str:
    """Show percent: "17 %"; None is "?"."""
    return "?" if share is None else f"{share} %"


def parse_duration(text: str) -> float:
    """Return the seconds that "90s", "30m", "2h30m" or "1d" mean, or Slurm's "1:00:00" and
    "1-00:00:00".

    Raises:
        InvalidQuantity: not a duration, a number without a unit, zero or negative.
    """
    stripped = text.strip()
    shown = printable(text, 40)
    if _NUMBER.fullmatch(stripped) and float(stripped):
        raise InvalidQuantity(
            f"{shown!r} has no unit; write {stripped}h, {stripped}m or {stripped}s"
        )
    if re.fullmatch(r"\d{1,6}:\d{1,2}", stripped, re.ASCII):
        # Slurm reads 10:30 as minutes and seconds, many others as hours and minutes. A wrong guess
        # would end a job sixty times too early, so it is refused.
        raise InvalidQuantity(f"{shown!r} can be read in two ways; write it like 2h30m or 1:00:00")
    match = _CLOCK.fullmatch(stripped) or _TIME.fullmatch(stripped)
    if not stripped or (match is None and not _NUMBER.fullmatch(stripped)):
        raise InvalidQuantity(f"not a duration: {shown!r}; write it like 90s, 30m or 2h30m")
    amounts = () if match is None else match.groups(default="0")
    total = sum((float(n) * size for n, (_, size) in zip(amounts, _STEPS)), 0.0)
    if total <= 0:
        raise InvalidQuantity(f"a duration is more than 0: {shown!r}")
    return total


def parse_seconds(text: str) -> float:
    """Return the seconds that a number means, or a duration with its units.

    Raises:
        InvalidQuantity: neither of them, zero or negative.
    """
    stripped = text.strip()
    return parse_duration(f"{stripped}s" if _NUMBER.fullmatch(stripped) else text)


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


def format_duration(seconds: float) -> str:
    """Show a time as people write one: "90 s", "30 min", "2 h 30 min", "3 d 4 h"."""
    whole = round(seconds)
    if whole < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(whole // 60, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        return " ".join([f"{days} d"] + [f"{hours} h"] * bool(hours))
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts)


def format_elapsed(seconds: float) -> str:
    """Show how long something has lasted, as ps and squeue do: "0:42", "1:02:03", "2-03:00:00"."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}-{hours:02}:{minutes:02}:{rest:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_age(seconds: float) -> str:
    """Show how long ago something was, in its largest whole unit: "42 seconds ago", "1 hour
    ago".
    """
    whole = max(0, int(seconds))
    for name, size in _STEPS:
        if whole >= size or size == 1:
            count = whole // size
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError("the last step always fits")


def brief_age(text: str) -> str:
    """Shorten an age, for where there is little room: "42 s ago"; return other texts as they
    are.
    """
    found = _AGE.fullmatch(text)
    return text if found is None else f"{found[1]} {_BRIEF[found[2]]} ago"
