"""The output of a run, as it is shown to people and written to files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runstate import (
    Held,
    Stopped,
    Waiting,
    end_of,
    is_over,
    name_of,
    was_moved,
)
from genvx.core.wire.runoperations import LogEnd
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.core.wire.runoperations import LogNews

# A command that was stopped before it started, one that never started, and one whose end nobody
# knows.
_NEVER_STARTED = 1
# Bytes of an unfinished line that are kept, to show only its last state.
MOST_LINE = 1 << 20


class LogView:
    """Prints what somebody who watches a run gets.

    terminal: progress bars, which return to the beginning of their line, go through as they are; in
    a file only the last state of a line is left.
    """

    def __init__(self, where: Where, host: str, terminal: bool) -> None:
        self._where = where
        self._host = host
        self._terminal = terminal
        self._line = b""
        self._told = ""
        self._ended: RunInfo | None = None

    @property
    def was_moved(self) -> bool:
        """Whether the run was withdrawn from its host, and is nowhere else."""
        return self._ended is not None and was_moved(self._ended.state)

    def moved_to(self, host: str) -> None:
        """Go on with the run on another host."""
        self._host = host

    def take(self, news: LogNews) -> None:
        """Print one of the news."""
        if isinstance(news, LogPiece):
            if news.missing:
                say(f"genvx: {size_missing(news.missing)} of the log are not kept any more")
            self._print(news.data)
        elif isinstance(news, LogEnd):
            self._ended = news.run
        else:
            self._tell(news)

    def finish(self) -> int:
        """Print what is left; return the exit code of the run, 0 if it goes on."""
        if self._line:
            _write(last_state(self._line))
            self._line = b""
        run = self._ended
        if run is None:
            return 0
        if run.note:
            self._where.note(f"run {run.id}: {run.note}")
        end = end_of(run.state)
        if end is not None:
            if isinstance(run.state, Stopped):
                self._where.note(f"run {run.id} was stopped ({run.state.why.value})")
            if isinstance(run.state, Held) and run.spec.hold is not None:
                self._tell_held(run, run.state)
            return end.exit_code
        if not is_over(run.state):
            return 0
        why = getattr(run.state, "why", "")
        why = getattr(why, "value", why)
        say(f"genvx: run {run.id} is {name_of(run.state)}" + (f": {why}" if why else ""))
        return _NEVER_STARTED

    def _tell_held(self, run: RunInfo, state: Held) -> None:
        kept = format_duration(state.since.seconds_until(state.until))
        typed = self._where.typed
        self._where.note(
            f"run {run.id} keeps its GPUs for {kept}, for a look: {typed} ssh {run.id}"
        )
        self._where.note(f"to give them back: {typed} release {run.id}")

    def _tell(self, run: RunInfo) -> None:
        state = run.state
        if not isinstance(state, Waiting):
            return
        reason = f" ({state.reason})" if state.reason else ""
        line = f"run {run.id} waits in line on {self._host}: place {state.place}{reason}"
        if line != self._told:
            self._told = line
            self._where.note(line)

    def _print(self, data: bytes) -> None:
        if self._terminal:
            _write(data)
            return
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            lines = self._line + whole + newline
            # Most logs have no line that was written over, and a look at each line costs more than
            # all the rest of the way from the host.
            if b"\r" in lines:
                lines = b"".join(last_state(line) + b"\n" for line in lines.split(b"\n")[:-1])
            _write(lines)
            self._line = rest
        else:
            self._line += data
        # What was written over is dropped at once, and a line without an end is not kept for ever.
        self._line = not_over(self._line)
        if len(self._line) > MOST_LINE:
            _write(self._line)
            self._line = b""


def size_missing(missing: int) -> str:
    """How much of a log is not kept any more, in words."""
    # Blocks of a disk are freed, so it is never less than a few KiB.
    return format_memory(missing) if missing >= 1 << 20 else f"{missing >> 10} KiB"


def not_over(line: bytes) -> bytes:
    """An unfinished line without what was written over: what comes next may belong to it."""
    if b"\r" not in line:
        return line
    over = len(line.rstrip(b"\r").rpartition(b"\r")[0])
    return line[over:].removeprefix(b"\r")


def last_state(line: bytes) -> bytes:
    """A line without what was written over."""
    return line.rstrip(b"\r").rpartition(b"\r")[2]


def _write(data: bytes) -> None:
    sys.stdout.flush()
    while data:
        data = data[os.write(1, data) :]
