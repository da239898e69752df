"""The lines of several logs as they come."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.fleet.lines import Lines
from genvx.fleet.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.core.runs.runinfo import LogPiece

    # The lines of a piece of one log; None at its end, or why it could not be read.
    News = tuple[int, list[bytes] | Exception | None]

# Pieces that are kept for a reader who is slower than the logs.
_MOST = 64
# How soon a set `stop` is noticed.
_LOOK = 0.2


def merged(
    pieces: Callable[[int, threading.Event], Iterator[LogPiece]],
    numbers: Sequence[int],
    stop: threading.Event | None,
) -> Iterator[tuple[int, bytes]]:
    """Iterate over the lines of several logs, each with its number, until all have ended.

    pieces: gives the pieces of a log, by its number, until an event is set. stop: ends the
    iteration when set.

    Raises: what a log raises; the others are not read any more then.
    """
    left = Stop(stop)
    news: queue.Queue[News] = queue.Queue(_MOST)

    def put(each: News) -> bool:
        while not left.is_set():
            with suppress(queue.Full):
                news.put(each, timeout=_LOOK)
                return True
        return False

    def read(number: int) -> None:
        lines = Lines()
        try:
            for piece in pieces(number, left):
                if not put((number, lines.feed(piece.data))):
                    return
            put((number, lines.finish()))
        except (
            Exception
        ) as error:  # the reader of `news` raises it, and would wait for ever otherwise
            put((number, error))
        else:
            put((number, None))

    try:
        for number in numbers:
            threading.Thread(target=read, args=(number,), daemon=True).start()
        alive = len(numbers)
        while alive and not left.is_set():
            with suppress(queue.Empty):
                number, found = news.get(timeout=_LOOK)
                if isinstance(found, Exception):
                    raise found
                alive -= found is None
                for line in found or ():
                    yield number, line
    finally:
        left.set()
