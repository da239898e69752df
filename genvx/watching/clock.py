"""The wall clock: metrics, days and hours are by it, and a history outlives every boot."""

from __future__ import annotations

import time


def now() -> float:
    """Return the seconds since the epoch. This clock may jump: durations come from others."""
    return time.time_ns() / 1e9


def offset() -> float:
    """Return how far `now` is before a clock that nobody can set and that counts while we sleep."""
    return now() - time.clock_gettime(time.CLOCK_BOOTTIME)
