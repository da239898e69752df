"""What is known of the hosts: written by threads that look at them, read by the one that draws."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.errors import GenvxError
    from genvx.watching.sight import Sight


@value
class Seen:
    """A host as it was seen last.

    at: when, in seconds since the epoch; 0 if it has not answered yet. snapshot: None if it has not
    answered yet, or does not answer now; then error says why, and seen_at when it did last.
    """

    host: str
    at: float = 0.0
    snapshot: Snapshot | None = None
    error: GenvxError | None = None
    runs: tuple[RunInfo, ...] = ()
    seen_at: float = 0.0


class Known:
    """The hosts, in the order of the fleet. on_change: called after each look, from many
    threads.
    """

    def __init__(
        self, hosts: Sequence[str], on_change: Callable[[], object] = lambda: None
    ) -> None:
        self._lock = threading.Lock()
        self._hosts = {name: Seen(name) for name in hosts}
        self._on_change = on_change

    def show(self, sight: Sight, runs: tuple[RunInfo, ...] | None) -> None:
        """Take what a look at a host has shown. runs: None if they are not known."""
        with self._lock:
            before = self._hosts[sight.host]
            down = sight.snapshot is None
            self._hosts[sight.host] = Seen(
                sight.host,
                sight.at,
                sight.snapshot,
                sight.error,
                () if down else before.runs if runs is None else runs,
                before.seen_at if down else sight.at,
            )
        self._on_change()

    def hosts(self) -> tuple[Seen, ...]:
        """Return all hosts."""
        with self._lock:
            return tuple(self._hosts.values())


def now() -> float:
    """The seconds since the epoch, as looks have them."""
    return time.time_ns() / 1e9
