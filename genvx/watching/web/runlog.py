"""Follows the log of a run, in a thread, for a page that has it open."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from genvx.core.runs.runinfo import LogPiece
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError
from genvx.fleet.detaching import runs
from genvx.watching.web.logtext import LogText

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from genvx.core.runs.runinfo import RunInfo

# Lines with which it begins.
_LINES = 500
# Pieces on their way to a page that is slow; then the host waits, too.
_MOST_PIECES = 8
# A page that is gone is noticed when something is sent to it.
_BEAT = 15.0


class _Closed(Exception):
    """The page has closed the log."""


async def follow(
    host: Any, run: str, plain: Callable[[RunInfo], dict[str, Any]]
) -> AsyncGenerator[bytes, None]:
    """Events of a text/event-stream: `log` with lines, `run` with how the run is, and at last `end`
    or `error`. The page that reads them is gone when this generator is closed.
    """
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_PIECES)
    closed = threading.Event()

    def put(event: bytes | None) -> None:
        if closed.is_set():
            raise _Closed
        asyncio.run_coroutine_threadsafe(events.put(event), loop).result()

    def watch() -> None:
        try:
            _watch(host, run, plain, put, closed.wait)
            put(None)
        except (_Closed, RuntimeError):
            pass  # RuntimeError: the server has ended, and its loop with it

    thread = threading.Thread(target=watch, name="genvx log", daemon=True)
    thread.start()
    try:
        while True:
            try:
                event = await asyncio.wait_for(events.get(), _BEAT)
            except TimeoutError:
                yield b":\n\n"
                continue
            if event is None:
                return
            yield event
    finally:
        closed.set()
        # One who waits for room gets it, and learns with the next piece that nobody reads.
        while not events.empty():
            events.get_nowait()


def _watch(
    host: Any,
    run: str,
    plain: Callable[[RunInfo], dict[str, Any]],
    put: Callable[[bytes | None], None],
    pause: Callable[[float], bool],
) -> None:
    text = LogText()
    try:
        for news in runs.watch(host, WatchRun(run, lines=_LINES), pause=pause):
            if isinstance(news, LogPiece):
                lines, unfinished = text.take(news.data)
                piece = {"missing": news.missing, "lines": lines, "open": unfinished}
                put(_event("log", piece))
            elif isinstance(news, LogEnd):
                put(_event("end", plain(news.run)))
            else:
                put(_event("run", plain(news)))
    except GenvxError as error:
        put(_event("error", {"message": str(error)}))


def _event(name: str, value: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode("ascii")
