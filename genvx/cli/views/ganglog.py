"""The output of the parts of a detached gang, a line of each after the name of its host."""

from __future__ import annotations

import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

from genvx.cli.views.log import MOST_LINE, last_state, not_over, size_missing
from genvx.core.runs.rungang import exit_code
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import Failed, Preparing, end_of, is_over, name_of
from genvx.core.value import replace
from genvx.core.wire.runoperations import LogEnd
from genvx.errors import GenvxError, kind_of
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from genvx.cli.ask.where import Where
    from genvx.core.wire.runoperations import LogNews, WatchRun

    Parts = Sequence[tuple[Any, RunInfo]]


class _Copied:
    """The host of a part of which there is only a copy here, among copies of others."""

    def __init__(self, host: Any, run: RunInfo) -> None:
        assert run.pulled is not None
        self.name = run.pulled.host
        self._host = host
        self._run = run

    def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        """Watch the copy; as LocalHost.watch."""
        news: Iterator[LogNews] = self._host.watch(replace(asked, run=self._run.asked_as), pause)
        return news


def printer(stream: TextIO, width: int) -> Callable[[str, bytes], None]:
    """Return a function that prints a line after the name of its host.

    The line itself is unchanged, control characters included: a job may print colours.
    """
    buffer = getattr(stream, "buffer", None)

    def show(host: str, line: bytes) -> None:
        if buffer is not None:
            # Bytes, in one write with the newline: output need not be text, and whole lines must
            # not mix with those of other hosts.
            buffer.write(f"{host:<{width}} | ".encode() + line + b"\n")
            buffer.flush()

    return show


def follow(where: Where, parts: Parts, asked: WatchRun) -> int:
    """Print the logs of all parts as they come; return the exit code of the gang, 0 if it goes on.

    Raises:
        OSError: the output cannot be written; as BrokenPipeError, nobody reads it any more.
    """
    parts = [(host if run.pulled is None else _Copied(host, run), run) for host, run in parts]
    news: queue.SimpleQueue[RunInfo | Exception] = queue.SimpleQueue()
    show = printer(sys.stdout, max(len(host.name) for host, _ in parts))
    lock = threading.Lock()
    left = threading.Event()

    def tell(line: str) -> None:
        # Who leaves closes the connections: to say that one is cut would be noise then.
        if not left.is_set():
            say(f"genvx: {line}")

    def watch(host: Any) -> None:
        try:
            end = _watched(host, asked, lambda line: _locked(lock, show, host.name, line), tell)
        except Exception as error:  # raised by the thread that waits for us, for ever otherwise
            news.put(error)
        else:
            news.put(end)

    try:
        return _ended(where, parts, watch, news)
    finally:
        left.set()


def _ended(
    where: Where,
    parts: Parts,
    watch: Callable[[Any], None],
    news: queue.SimpleQueue[RunInfo | Exception],
) -> int:
    """Watch each part in a thread until all have ended; return the exit code."""
    for host, _ in parts:
        threading.Thread(target=watch, args=(host,), daemon=True).start()
    ends: list[RunInfo] = []
    failed: GenvxError | None = None
    for _ in parts:
        end = news.get()
        if isinstance(end, GenvxError):
            failed = failed or end
            say(f"genvx: {kind_of(end)}: {end}")
        elif isinstance(end, Exception):
            raise end
        else:
            ends.append(end)
            _tell(where, end)
    code = (exit_code(ends) or 0) if ends else 0
    return code or (failed.exit_code if failed is not None else 0)


def _watched(
    host: Any, asked: WatchRun, show: Callable[[bytes], None], tell: Callable[[str], None]
) -> RunInfo:
    from genvx.fleet.detaching import runs

    rest = b""
    for each in runs.watch(host, asked, tell):
        if isinstance(each, LogPiece):
            if each.missing:
                tell(f"{host.name}: {size_missing(each.missing)} of the log are not kept any more")
            *lines, rest = (rest + each.data).split(b"\n")
            for line in lines:
                show(last_state(line))
            # What was written over is dropped at once, and a line without an end is not kept for
            # ever.
            rest = not_over(rest)
            if len(rest) > MOST_LINE:
                show(rest)
                rest = b""
        elif isinstance(each, LogEnd):
            if rest:
                show(last_state(rest))
            return each.run
    raise AssertionError("a log ends with its end")


def _locked(
    lock: threading.Lock, show: Callable[[str, bytes], None], host: str, line: bytes
) -> None:
    with lock:
        show(host, line)


def _tell(where: Where, run: RunInfo) -> None:
    """Say what the log of a part does not."""
    who = run.spec.part.name if run.spec.part is not None else run.id
    state = run.state
    if run.note:
        where.note(f"{who}: {run.note}")
    elif end_of(state) is None and (is_over(state) or isinstance(state, Preparing)):
        why = state.why if isinstance(state, Failed) else ""
        where.note(f"{who} is {name_of(state)}" + (f": {why}" if why else ""))
