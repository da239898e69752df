"""What a program may ask of a run, and how long it may wait."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from genvx.core.runs.runstate import Held, Running, Waiting, is_over, name_of
from genvx.core.wire.runoperations import MOST_LINES
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.runs.runinfo import RunInfo


def most_lines(lines: int | None) -> int | None:
    """Return a number of last lines; raise InvalidInput if no log is read from there."""
    if lines is not None and not (isinstance(lines, int) and 0 <= lines <= MOST_LINES):
        raise InvalidInput(f"lines are a number from 0 to {MOST_LINES}, not {lines!r}")
    return lines


def pauser(timeout: float | None, stop: threading.Event | None) -> Callable[[float], bool]:
    """Return what waits so many seconds, and says whether the time is over or `stop` is set."""
    # NaN compares false with every time, so the waiting would never end.
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout == timeout):
        raise InvalidInput(f"a timeout is a number of seconds, not {timeout!r}")
    end = math.inf if timeout is None else time.monotonic() + timeout
    stopped = stop or threading.Event()

    def pause(seconds: float) -> bool:
        left = end - time.monotonic()
        return stopped.wait(max(0.0, min(seconds, left))) or time.monotonic() >= end

    return pause


def require_entry(run: RunInfo) -> None:
    """Raise InvalidInput unless something can be started in the run."""
    if isinstance(run.state, (Running, Held)):
        return
    if isinstance(run.state, Waiting):
        raise InvalidInput(f"run {run.label_or_id} waits in line, and has no devices yet")
    if is_over(run.state):
        raise InvalidInput(f"run {run.label_or_id} is over ({name_of(run.state)})")
    raise InvalidInput(f"run {run.label_or_id} has not started yet ({name_of(run.state)})")
