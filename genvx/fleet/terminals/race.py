"""Waiting for several hosts at once, of which one wins."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

from genvx.core.limits import exhausted
from genvx.errors import GenvxError, WaitedTooLong
from genvx.fleet.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.fleet.host import Giver, Hold

D = TypeVar("D", bound="Hold")


class Race(Generic[D]):
    """Race waits for several hosts at once; one wins, and what others give later is released.

    wait: waits for a host until the event is set. stop: ends the waiting for all when it is set.
    """

    def __init__(
        self,
        wait: Callable[[Giver[D], threading.Event, bool], D],
        stop: threading.Event | None = None,
    ) -> None:
        self._wait = wait
        self._running = 0
        self._stop = Stop(stop)
        self._lock = threading.Lock()
        self._ends: queue.SimpleQueue[tuple[Giver[D], D | GenvxError]] = queue.SimpleQueue()

    def enter(self, host: Giver[D], *, keeps: bool) -> None:
        """Wait for one more host, in a thread."""
        self._running += 1
        threading.Thread(
            target=self._run, args=(host, keeps), name=f"genvx waits on {host.name}", daemon=True
        ).start()

    def _run(self, host: Giver[D], keeps: bool) -> None:
        end: D | GenvxError
        try:
            end = self._wait(host, self._stop, keeps)
        except GenvxError as error:
            end = error
        except Exception as error:  # a fault of genvx on one host must not end the others' waiting
            end = GenvxError(
                exhausted(error) or f"a fault of genvx: {type(error).__name__}: {error}"
            )
        if not isinstance(end, GenvxError):
            # The first to set the event wins. Without the lock, two hosts could both win, and the
            # devices of one of them stay taken.
            with self._lock:
                late = self._stop.is_set()
                self._stop.set()
            if late:
                end.release()
                end = WaitedTooLong("the wait was cancelled")
        self._ends.put((host, end))

    def ends(self) -> Iterator[tuple[Giver[D], D | GenvxError]]:
        """Yield each host and its hold or error as it comes, up to the first hold."""
        won = False
        try:
            while self._running:
                host, end = self._ends.get()
                self._running -= 1
                won = not isinstance(end, GenvxError)
                yield host, end
                if won:
                    return
        finally:
            # Also after Ctrl-C: a hold that came at the same moment is in the queue, and nobody
            # else would release it.
            with self._lock:
                self._stop.set()
            while not won and not self._ends.empty():
                _, end = self._ends.get()
                if not isinstance(end, GenvxError):
                    end.release()
