"""Shows durations, and how long ago something was, to people. Times are float seconds."""

from __future__ import annotations

# Of times that people give, in seconds: a hundred years. In nanoseconds that is far below 2**63,
# the limit of the wire.
LONGEST = 36500 * 86400.0
STEPS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_BRIEF = {"day": "d", "hour": "h", "minute": "min", "second": "s"}


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
    """Show how long ago something was, in its largest whole unit: "42 seconds ago"."""
    whole = max(0, int(seconds))
    for name, size in STEPS:
        if whole >= size or size == 1:
            count = whole // size
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError("the last step always fits")


def brief_age(text: str) -> str:
    """Shorten an age, for where there is little room: "42 s ago"; return other texts as they
    are.
    """
    import re

    found = re.fullmatch(r"(\d+) (day|hour|minute|second)s? ago", text)
    return text if found is None else f"{found[1]} {_BRIEF[found[2]]} ago"
