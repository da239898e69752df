"""Reads the durations that people type. Times are float seconds."""

from __future__ import annotations

import re

from genvx.core.quantities.ages import LONGEST, STEPS
from genvx.core.text import printable
from genvx.errors import InvalidQuantity

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


def parse_duration(text: str) -> float:
    """Return the seconds that "90s", "30m", "2h30m" or "1d" mean, or Slurm's "1:00:00" and
    "1-00:00:00".

    Raises:
        InvalidQuantity: not a duration, a number without a unit, zero, negative, or beyond 36500d.
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
    total = sum((float(n) * size for n, (_, size) in zip(amounts, STEPS)), 0.0)
    if not 0 < total <= LONGEST:
        raise InvalidQuantity(f"a duration is more than 0 and at most 36500d: {shown!r}")
    return total


def parse_seconds(text: str) -> float:
    """Return the seconds that a number means, or a duration with its units.

    Raises:
        InvalidQuantity: neither of them, zero or negative.
    """
    stripped = text.strip()
    return parse_duration(f"{stripped}s" if _NUMBER.fullmatch(stripped) else text)
