"""One absolute deadline over everything that is done with a host.

Timeouts of single reads add up without limit against a peer that sends a byte now and then. A
deadline closes the connection from outside when its time has come, whatever the thread that uses it
is waiting for.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING

from genvx.core.block import Block

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline(Block):
    """`seconds` from now.

    Inside the block, what was given to `closes` is called when the time has come.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        self._end = time.monotonic() + seconds
        self._closers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def left(self) -> float:
        """Seconds left; never less than a millisecond, because 0 means "do not wait" or
        "for ever" to many.
        """
        return max(0.001, self._end - time.monotonic())

    def closes(self, closer: Callable[[], None]) -> None:
        """Have `closer` called at the end; at once if that is past."""
        with self._lock:
            self._closers.append(closer)
            late = self.expired
        if late:
            closer()

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            closers = list(self._closers)
        for closer in closers:
            # What is closed may be half closed already. One that fails must neither keep the others
            # from being closed nor end the thread that watches over every other host.
            with contextlib.suppress(Exception):
                closer()

    def __enter__(self) -> Deadline:
        _watch.add(self._end, self)
        return self

    def _leave(self) -> None:
        with self._lock:
            self._closers.clear()
        _watch.remove(self)

    def __call__(self) -> None:
        self._expire()


class _Watch:
    """One daemon thread for all deadlines; it ends when there are none."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Deadline]] = []
        self._live: set[int] = set()
        self._order = itertools.count()
        self._running = False

    def add(self, end: float, deadline: Deadline) -> None:
        with self._condition:
            heapq.heappush(self._heap, (end, next(self._order), deadline))
            self._live.add(id(deadline))
            if self._running:
                self._condition.notify()
            else:
                # Not before it runs: where no thread can be had, the next deadline tries again.
                threading.Thread(target=self._run, name="genvx deadlines", daemon=True).start()
                self._running = True

    def remove(self, deadline: Deadline) -> None:
        with self._condition:
            self._live.discard(id(deadline))
            while self._heap and id(self._heap[0][2]) not in self._live:
                heapq.heappop(self._heap)
            if not self._heap:
                self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._heap:
                    self._running = False
                    return
                end, _, deadline = self._heap[0]
                left = end - time.monotonic()
                if left > 0:
                    self._condition.wait(left)
                    continue
                heapq.heappop(self._heap)
                due = id(deadline) in self._live
                self._live.discard(id(deadline))
            if due:
                deadline()


_watch = _Watch()
