"""Shows durations, and how long ago something was, to people. Times are float seconds."""

from __future__ import annotations

STEPS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


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
    """Show how long ago something was, in its largest whole unit: "42 s ago", "1 h ago"."""
    whole = max(0, int(seconds))
    for unit, size in STEPS:
        if whole >= size or size == 1:
            return f"{whole // size} {unit} ago"
    raise AssertionError("the last step always fits")
