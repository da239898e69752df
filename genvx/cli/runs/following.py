"""Following a run, as genvx watch does: its log, and another host for it while it waits."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from genvx.cli.ask.runs import shown_host
from genvx.cli.views.log import LogView
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import Waiting, has_ended, was_moved
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import GenvxError, InvalidInput, NoCapacity, UnknownRun
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from genvx.cli.ask.where import Where
    from genvx.fleet.fleet import Fleet

# How often the other hosts are asked, at most, whether they have room for a run that waits.
_LOOK = 30.0
# How long a run may be on its way from one host to another, and how often we ask for it.
_ON_ITS_WAY = 30.0
_AGAIN = 0.5


def follow(
    where: Where,
    fleet: Fleet,
    host: Any,
    run: RunInfo,
    *,
    lines: int | None = None,
    to_its_end: bool = True,
    stays: bool = False,
    looked: bool = False,
) -> int:
    """Print the log of a run and return its exit code; 130 after Ctrl-C, which leaves it running.

    lines: begin with so many of the last ones. to_its_end: wait for more. stays: leave it where it
    waits, also when another host has room. looked: the other hosts were asked just now.
    """
    from genvx.fleet.detaching import runs

    if run.pulled is not None and not to_its_end and not has_ended(run.state):
        where.note(
            f"this is a copy; genvx pull {run.id} brings what the run on {run.pulled.host} has "
            "written since"
        )
    view = LogView(where, shown_host(host, run), sys.stdout.isatty())
    asked = WatchRun(run.asked_as, lines=lines, follow=to_its_end)
    scout = None
    if to_its_end and where.remote and not stays and len(fleet.hosts) > 1:
        scout = Scout(where, fleet, looked=looked)
    try:
        while True:
            place, waited = None, isinstance(run.state, Waiting)
            try:
                for news in runs.watch(host, asked, lambda line: say(f"genvx: {line}")):
                    if isinstance(news, LogEnd) and waited and was_moved(news.run.state):
                        place = arrival(fleet, run.id)
                    view.take(news)
                    if scout is not None and isinstance(news, RunInfo):
                        place = scout.move(host, news)
                    if place is not None:
                        break
            except UnknownRun:  # also what it left on the host from which it has moved
                place = arrival(fleet, run.id) if waited else None
                if place is None:
                    raise
            if place is None:
                code = view.finish()
                if view.was_moved:
                    where.note(f"{where.typed} runs restart {run.id} starts it")
                return code
            host = place
            view.moved_to(host.name)
            asked = WatchRun(run.id, follow=to_its_end)
    except KeyboardInterrupt:
        view.finish()
        return left(where, run)
    except BrokenPipeError:
        return _unread()


def follow_gang(
    where: Where,
    parts: Sequence[tuple[Any, RunInfo]],
    *,
    lines: int | None = None,
    to_its_end: bool = True,
) -> int:
    """Print the logs of all parts of a gang; otherwise as `follow`."""
    from genvx.cli.views import ganglog

    run = parts[0][1]
    try:
        return ganglog.follow(where, parts, WatchRun(run.id, lines=lines, follow=to_its_end))
    except KeyboardInterrupt:
        return left(where, run)
    except BrokenPipeError:
        return _unread()


def left(where: Where, run: RunInfo) -> int:
    """Say, after Ctrl-C, that the run goes on; return the exit code."""
    say(goes_on(where, run))
    return INTERRUPTED


def goes_on(where: Where, run: RunInfo, options: str = "") -> str:
    """Return the line after a watch of a run that goes on. options: those of the watch."""
    return f"genvx: run {run.id} goes on; {where.typed} watch {options}{run.id} shows it again"


def _unread() -> int:
    # Nobody reads our output any more; Python would complain at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def arrival(fleet: Any, run: str) -> Any:
    """Return the host to which a run is being moved; None if it does not arrive in time."""
    from genvx.fleet.detaching import runs

    end = time.monotonic() + _ON_ITS_WAY
    while True:
        with suppress(GenvxError):
            host, found = runs.locate(fleet, fleet.ask(runs.question(run)), run)
            if not was_moved(found.state):
                return host
        if time.monotonic() >= end:
            return None
        time.sleep(_AGAIN)


class Scout:
    """Looks for a host with room while a run waits on another one."""

    def __init__(self, where: Where, fleet: Fleet, *, looked: bool) -> None:
        self._where = where
        self._fleet: Any = fleet
        self._due = time.monotonic() + (_LOOK if looked else 0.0)

    def move(self, source: Any, run: RunInfo) -> Any:
        """Move a run that waits to a host that has room; return that host, None if it stays.

        A run whose hosts or directory were chosen, or that has a project, stays: another host may
        be the wrong one.
        """
        spec = run.spec
        if not isinstance(run.state, Waiting) or spec.stays or spec.cwd or spec.project is not None:
            return None
        if time.monotonic() < self._due:
            return None
        from genvx.fleet.detaching import moving

        seen = self._fleet.snapshot()
        self._due = time.monotonic() + _LOOK
        among = list(seen.succeeded)
        better = moving.room_elsewhere(run.spec, source.name, seen, among)
        if not better:
            return None
        self._where.note(
            f"run {run.id} moves to {better[0]}, which has room (watch --stay leaves it)"
        )
        try:
            with unbroken():
                host, _ = moving.move(self._fleet, source, run, seen, among)
        except (InvalidInput, NoCapacity) as error:
            self._where.note(str(error))  # it has begun meanwhile, or waits on
            return None
        return host


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold Ctrl-C back for the block, and raise it afterwards."""
    pressed = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
