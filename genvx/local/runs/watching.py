"""Watching a run: how it is, then its log as it grows, until it has ended."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.runstate import Preparing, Waiting, end_of, has_ended, is_over
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runoperations import LogEnd
from genvx.local.runs import logs
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.reports import open_reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Callable

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.runoperations import LogNews, WatchRun
    from genvx.local.machine import Machine
    from genvx.local.runs.record import RunDirectory

# How often a run that has no end written is asked whether it lives at all, which costs a look at
# all leases. In between only its own record is read.
_CHECK = 2.0
# A client that hears nothing for long takes the connection for lost.
_AGAIN = 20.0


def watch(host: Machine, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
    """What somebody who watches a run gets: the run, again when its state changes before it starts,
    its log, and a LogEnd.

    Where the last lines were asked for, an empty piece comes first: it says where they begin. Whose
    connection is cut asks again from there on, and misses nothing.

    pause: waits so many seconds; True ends the watching.

    Raises:
        UnknownRun: there is none. NotOwner: it is another user's.
    """
    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    if asked.follow and not has_ended(run.state):
        run.require_here("watch")
    with catalog.open(run) as directory:
        log = open_reports(directory) if asked.reports else directory.open_log()
        try:
            watched = _Watched(catalog, directory, run)
            offset = asked.offset or 0
            if asked.offset is None and asked.lines is not None:
                offset = logs.offset_of_last_lines(log, asked.lines)
                yield LogPiece(offset, b"")
            yield run
            # An offset behind the end is of another log; what is there then is read from the end.
            offset = min(offset, os.fstat(log).st_size)
            over = watched.is_over if asked.follow else lambda: True
            if asked.log:
                later = logs.PROMPT if asked.reports else logs.LATER
                pieces = logs.follow(log, offset, over, pause, watched.news, later)
            else:
                pieces = logs.await_end(over, pause, watched.news)
            for piece in pieces:
                if piece is not None:
                    watched.said = monotonic()
                    yield piece
                elif watched.changed is not None:
                    news, watched.changed = watched.changed, None
                    watched.said = monotonic()
                    yield news
        finally:
            os.close(log)
    yield LogEnd(catalog.find(run.asked_as))


class _Watched:
    """A run whose end is awaited.

    changed: the run as it is now, if the client must get it. said: when the client last got news.
    """

    def __init__(self, catalog: RunCatalog, directory: RunDirectory, run: RunInfo) -> None:
        self.changed: Optional[RunInfo] = None
        self.said = monotonic()
        self._catalog = catalog
        self._directory = directory
        self._run = run
        self._checked = monotonic()

    def is_over(self) -> bool:
        """Whether nothing will be added to its log."""
        try:
            state, _ = self._directory.state()
        except Malformed:
            state = self._run.state
        if is_over(state) or end_of(state) is not None:
            return True
        begins = isinstance(self._run.state, (Waiting, Preparing))
        # That a run has begun is said at once: a client may wait to enter it.
        moved_on = begins and type(state) is not type(self._run.state)
        if not moved_on and monotonic() < self._checked + _CHECK:
            return False
        self._checked = monotonic()
        before, self._run = self._run, self._catalog.find(self._run.id)
        state = self._run.state
        if (begins and state != before.state) or monotonic() >= self.said + _AGAIN:
            self.changed = self._run
        return is_over(state) or end_of(state) is not None

    def news(self) -> bool:
        """Whether there is something to tell besides the log."""
        return self.changed is not None
