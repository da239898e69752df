"""Following the run of a trial: what it reports, and its end, through connections that are cut."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.value import replace, value
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError, UnknownRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.wire.runoperations import LogNews
    from genvx.fleet.detaching.runs import RunHost

# Pauses before a host is asked again: they grow from one to the next.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
# A line that is longer is no report; a command must not fill our memory.
_LONGEST_LINE = 16 * 1024


@value
class Line:
    """A line that a run has written. after: the offset behind it."""

    run: str
    text: bytes
    after: int


@value
class Seen:
    """How a run is. over: nothing more comes of it."""

    run: str
    info: RunInfo
    over: bool = False


@value
class Gone:
    """There is no such run on its host."""

    run: str
    why: str


@value
class Silent:
    """The host of a run does not answer. why: None once it does again."""

    run: str
    host: str
    why: str | None

    def line(self, trial: int) -> str:
        """Return what people are told. trial: the number of the trial."""
        if self.why is None:
            return f"{self.host} answers again; trial {trial} goes on"
        return f"{self.host}: {self.why}; trial {trial} is not lost"


News = Line | Seen | Gone | Silent


def follow(
    host: RunHost,
    asked: WatchRun,
    put: Callable[[News], object],
    stop: threading.Event,
    begun: Iterator[LogNews] | None = None,
) -> None:
    """Follow a run until its end is known or `stop` is set, however often the host is away.

    asked: from which offset. put: is called with all news, in this thread. begun: news that come
    already, on the connection by which the run was started.
    """
    reader = _Reader(asked, put)
    pause, silent = FIRST_PAUSE, False
    while not stop.is_set():
        try:
            coming, begun = begun, None
            for news in coming or host.watch(reader.asked, stop.wait):
                if silent:
                    put(Silent(asked.run, host.name, None))
                pause, silent = FIRST_PAUSE, False
                reader.take(news)
                if isinstance(news, LogEnd):
                    return
                if stop.is_set():
                    return
        except UnknownRun as error:
            put(Gone(asked.run, str(error)))
            return
        except GenvxError as error:
            # A connection that is cut for a moment is no news.
            if not silent and pause > FIRST_PAUSE:
                silent = True
                put(Silent(asked.run, host.name, str(error)))
        if stop.wait(pause):
            return
        pause = min(2 * pause, LONGEST_PAUSE)


class _Reader:
    """Makes lines of the pieces of a log, and knows where to go on."""

    def __init__(self, asked: WatchRun, put: Callable[[News], object]) -> None:
        self.asked = asked
        self._put = put
        self._rest = b""
        self._skipping = False
        self._at = asked.offset or 0

    def take(self, news: RunInfo | LogPiece | LogEnd) -> None:
        """Pass on one of the news of a host."""
        if isinstance(news, LogPiece):
            self._feed(news)
        elif isinstance(news, LogEnd):
            if self._rest and not self._skipping:
                # The command has not ended its last line.
                self._put(Line(self.asked.run, self._rest, self._at))
            self._put(Seen(self.asked.run, news.run, over=True))
        else:
            self._put(Seen(self.asked.run, news))

    def _feed(self, piece: LogPiece) -> None:
        if piece.missing:
            self._rest, self._skipping = b"", True
        data = self._rest + piece.data
        self._at = piece.at + len(piece.data)
        *lines, self._rest = data.split(b"\n")
        after = piece.at - (len(data) - len(piece.data))
        for line in lines:
            after += len(line) + 1
            if not self._skipping:
                self._put(Line(self.asked.run, line, after))
            self._skipping = False
        if len(self._rest) > _LONGEST_LINE:
            self._rest, self._skipping = b"", True
        # Whoever connects again goes on here; the beginning of a line is kept.
        self.asked = replace(self.asked, offset=self._at)


def start(
    host: RunHost,
    asked: WatchRun,
    put: Callable[[News], object],
    stop: threading.Event,
    begun: Iterator[LogNews] | None = None,
) -> None:
    """Follow a run in a thread of its own; raise RuntimeError if there can be no more threads."""
    threading.Thread(
        target=follow,
        args=(host, asked, put, stop, begun),
        name=f"genvx trial {asked.run}",
        daemon=True,
    ).start()
