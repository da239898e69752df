"""The time at which something happens to a run."""

from __future__ import annotations

import time

from genvx.core.runs.run import Moment
from genvx.local import processes


def now() -> Moment:
    """This moment, by both clocks."""
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return Moment(wall, processes.boottime_ns())
