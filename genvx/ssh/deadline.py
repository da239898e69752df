"""One absolute deadline covers everything that is done with a host.

Timeouts of single reads add up without limit against a peer that sends a byte now and then. A
deadline closes the connection from another thread when its time is up, whatever the thread that
uses the connection waits for.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
import weakref
from typing import TYPE_CHECKING

from genvx.core.block import Block
from genvx.ssh.apart import apart

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline(Block):
    """Deadline ends `seconds` from now.

    Used as a context: within the block, the functions that were given to `closes` are called when
    the time is up. After the block they are not. Calling a deadline ends it early.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.expired = False
        # Not time.time(): a clock that is set would end a deadline early, or never.
        self._end = time.monotonic() + seconds
        self._closers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def left(self) -> float:
        """Return the seconds left, at least a millisecond: as a timeout, 0 means "do not wait" to
        some functions and "for ever" to others.
        """
        return max(0.001, self._end - time.monotonic())

    def closes(self, closer: Callable[[], None]) -> None:
        """Call `closer` when the deadline ends; at once if it has ended."""
        # The flag is read under the lock under which `_expire` sets it. Otherwise a closer that is
        # added at the same moment might be called by neither, and its connection hang for ever.
        with self._lock:
            self._closers.append(closer)
            late = self.expired
        if late:
            closer()

    def _expire(self) -> None:
        # The closers run outside the lock: closing may block, or call `closes` itself.
        with self._lock:
            self.expired = True
            closers = list(self._closers)
        for closer in closers:
            # A connection may already be half closed. A closer that fails must neither keep the
            # others from being called nor end the thread that watches over all other hosts.
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


class Within(Deadline):
    """A deadline within a longer one: what is to be closed is closed when the first of them ends.

    After its block only the longer one counts.
    """

    def __init__(self, outer: Deadline, seconds: float) -> None:
        super().__init__(min(seconds, outer.left()))
        self._outer = outer

    def closes(self, closer: Callable[[], None]) -> None:
        """Call `closer` when either deadline ends; at once if one has ended."""
        self._outer.closes(closer)
        super().closes(closer)

    def over(self) -> None:
        """Do not end any more: what it was for has succeeded."""
        self._leave()


class _Watch:
    """One daemon thread serves all deadlines; it ends when there are none.

    A timer thread for each would mean a thread more per host of a fleet.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        # Weak: the block of a deadline may be left by a Ctrl-C at the very moment at which it says
        # so. The deadline would then close a connection that others use by now.
        self._heap: list[tuple[float, int, weakref.ref[Deadline]]] = []
        # A heap cannot remove from its middle. Deadlines that were met early leave this set at
        # once and the heap when they come to its top.
        self._live: weakref.WeakSet[Deadline] = weakref.WeakSet()
        # Decides between equal ends: deadlines themselves cannot be compared.
        self._order = itertools.count()
        self._running = False

    # Done apart: a condition whose lock an interrupted thread keeps would stop all deadlines.

    @apart()
    def add(self, end: float, deadline: Deadline) -> None:
        with self._condition:
            heapq.heappush(self._heap, (end, next(self._order), weakref.ref(deadline)))
            self._live.add(deadline)
            if self._running:
                self._condition.notify()
            else:
                # Set after start(), which raises where the user may have no more threads: the next
                # deadline then tries again.
                threading.Thread(target=self._run, name="genvx deadlines", daemon=True).start()
                self._running = True

    @apart()
    def remove(self, deadline: Deadline) -> None:
        with self._condition:
            self._live.discard(deadline)
            while self._heap and self._heap[0][2]() not in self._live:
                heapq.heappop(self._heap)
            if not self._heap:
                self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._heap:
                    self._running = False
                    return
                end, _, reference = self._heap[0]
                left = end - time.monotonic()
                if left > 0:
                    self._condition.wait(left)
                    continue
                heapq.heappop(self._heap)
                deadline = reference()
                due = deadline in self._live
                if deadline is not None:
                    self._live.discard(deadline)
            # Outside the lock: closing a connection may take a while, and other deadlines must be
            # added meanwhile.
            if due and deadline is not None:
                deadline()
            # Not kept while the next one is waited for.
            del deadline


_watch = _Watch()
