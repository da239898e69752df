"""What a program may ask of a run, and how long it may wait."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from genvx.core.runs.runselect import MOST_LINES
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable


def most_lines(lines: int | None) -> int | None:
    """Return a number of last lines; raise InvalidInput if it is none that a host accepts."""
    if lines is not None and not (isinstance(lines, int) and 0 <= lines <= MOST_LINES):
        raise InvalidInput(f"lines are a number from 0 to {MOST_LINES}, not {lines!r}")
    return lines


def require_grace(grace: float | None) -> None:
    """Raise InvalidInput unless a grace is a number of seconds, or None."""
    if grace is not None and not (isinstance(grace, (int, float)) and 0 <= grace < math.inf):
        raise InvalidInput(f"a grace is a number of seconds, not {grace!r}")


def pauser(timeout: float | None, stop: threading.Event | None) -> Callable[[float], bool]:
    """Return a function that waits so many seconds, and returns whether `timeout` is over or `stop`
    is set.
    """
    # NaN compares false with every time, so the waiting would never end.
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout == timeout):
        raise InvalidInput(f"a timeout is a number of seconds, not {timeout!r}")
    end = math.inf if timeout is None else time.monotonic() + timeout
    stopped = stop or threading.Event()

    def pause(seconds: float) -> bool:
        left = end - time.monotonic()
        return stopped.wait(max(0.0, min(seconds, left))) or time.monotonic() >= end

    return pause
