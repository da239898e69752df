"""Events that end a wait for hosts."""

from __future__ import annotations

import math
import threading
from time import monotonic

# How soon the event of our caller is noticed: no thread can wait for two events at once.
_LOOK = 0.2


class Stop(threading.Event):
    """Stop is an event of our own that is also set when that of our caller is, if there is one."""

    def __init__(self, callers: threading.Event | None = None) -> None:
        super().__init__()
        self._callers = callers

    def is_set(self) -> bool:
        """Whether one of the two is set."""
        return super().is_set() or (self._callers is not None and self._callers.is_set())

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until one of the two is set, at most so many seconds; return whether one is."""
        if self._callers is None:
            return super().wait(timeout)
        end = math.inf if timeout is None else monotonic() + timeout
        while not self.is_set() and (left := end - monotonic()) > 0:
            super().wait(min(left, _LOOK))
        return self.is_set()
