"""The log of a run while it is shown, followed by a thread of its own."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.runstate import name_of
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError
from genvx.fleet.detaching import runs
from genvx.watching.web.logtext import LogText

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.live.rows import Target

# Lines with which it begins, and those that are kept.
_LINES, _MOST = 500, 20_000


class _Closed(Exception):
    """Nobody looks at the log any more."""


class Log:
    """The lines of a log so far. on_change: called in the thread that follows it."""

    def __init__(self, target: Target, on_change: Callable[[], object]) -> None:
        self.target = target
        self.state = ""
        self._on_change = on_change
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._lines: deque[str] = deque(maxlen=_MOST)
        self._open = ""

    def follow(self, host: Any) -> None:
        """Follow it on a host, in another thread, until it ends or is closed."""
        threading.Thread(target=self._run, args=(host,), name="genvx log", daemon=True).start()

    def close(self) -> None:
        """Follow it no more."""
        self._closed.set()

    def lines(self) -> list[str]:
        """Return its lines, each without control characters."""
        with self._lock:
            return [*self._lines, *([self._open] if self._open else [])]

    def _run(self, host: Any) -> None:
        try:
            self._watch(host)
        except _Closed:
            pass
        except GenvxError as error:
            self._end(str(error))

    def _watch(self, host: Any) -> None:
        text = LogText()
        asked = WatchRun(self.target.id, lines=_LINES)
        for news in runs.watch(host, asked, pause=self._closed.wait):
            if self._closed.is_set():
                raise _Closed
            if isinstance(news, LogPiece):
                lines, unfinished = text.take(news.data)
                with self._lock:
                    self._lines += lines
                    self._open = unfinished
            elif isinstance(news, LogEnd):
                self.state = name_of(news.run.state)
            else:
                self.state = name_of(news.state)
            self._on_change()

    def _end(self, why: str) -> None:
        self.state = why
        self._on_change()
