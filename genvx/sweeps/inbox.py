"""What the process of a sweep has to handle, from all its threads, in its order."""

from __future__ import annotations

import queue
import threading
from typing import Any

from genvx.sweeps.following import Line

_MOST_LINES = 10_000


class Inbox:
    """Inbox is a queue. A trial that reports faster than we read has to wait."""

    def __init__(self) -> None:
        # Signal handlers put, too, so it must be one that can be entered twice.
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MOST_LINES)
        self._closed = False

    def put(self, event: object) -> None:
        """Add an event; a line of a trial waits for room."""
        if isinstance(event, Line):
            while not self._room.acquire(timeout=1.0):
                if self._closed:
                    return
        self._events.put(event)

    def get(self, timeout: float | None) -> Any:
        """Return the next event; None if none comes in time."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(event, Line):
            self._room.release()
        return event

    def close(self) -> None:
        """Let those go that wait for room; nobody reads any more."""
        self._closed = True
