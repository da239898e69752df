"""The last day as the page gets it: from the history of a monitor, or what the page has seen."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.text import printable
from genvx.errors import StateError
from genvx.watching import clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from genvx.watching.daylong import Day
    from genvx.watching.web.seen import Seen

# Seconds for which an answer is given again: pages ask at any time, and a history is slow to read.
_FRESH = 5.0


class LastDay:
    """The last day of some hosts, as one document; asked for by many threads.

    history: returns its file; None if there is none. hosts: which of a history; None is all.
    plain: a day as documented JSON has it.
    """

    def __init__(
        self,
        seen: Seen,
        plain: Callable[[Day | None, str], dict[str, Any]],
        *,
        history: Callable[[], Path | None] = lambda: None,
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._seen = seen
        self._plain = plain
        self._history = history
        self._hosts = hosts
        self._lock = threading.Lock()
        self._made = float("-inf")
        self._took = 0.0
        self._document = b""

    def document(self) -> bytes:
        """Return the day as JSON; it may be some seconds old."""
        with self._lock:
            # One that takes long is made as rarely as it takes long.
            if time.monotonic() - self._made > max(_FRESH, 20 * self._took):
                begun = time.monotonic()
                self._document = json.dumps(self._plain(*self._day())).encode("ascii")
                self._made = time.monotonic()
                self._took = self._made - begun
            return self._document

    def _day(self) -> tuple[Day | None, str]:
        """The day, and what is wrong with the history."""
        note = ""
        try:
            path = self._history()
            if path is not None:
                # Imported here: it needs SQLite.
                from genvx.watching.historyday import last_day

                day = last_day(path, clock.now(), self._hosts)
                if day is not None:
                    return day, ""
        except StateError as error:
            note = printable(str(error), 200)
        return self._seen.day(), note
