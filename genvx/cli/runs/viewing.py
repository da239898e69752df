"""Viewing the terminal of a run, as genvx watch -i does."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from genvx.cli.runs.following import Scout, arrival, goes_on
from genvx.cli.views.log import LogView
from genvx.core.runs.entry import require_terminal
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import Preparing, Waiting, end_of, is_over
from genvx.core.wire.runoperations import FindRuns, LogEnd
from genvx.core.wire.viewoperation import ViewRun
from genvx.errors import GenvxError, HostUnreachable, InvalidInput, UnknownRun
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from genvx.cli.ask.where import Where
    from genvx.fleet.fleet import Fleet

# The end of a run is known when its terminal ends, unless its supervisor was killed: then it is
# seen a moment later that nothing of it lives.
_END_WITHIN = 5.0
_AGAIN = 0.2


def require_our_terminal(where: Where, wanted: str) -> None:
    """Raise InvalidInput unless we have a terminal ourselves."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidInput(
            "watch -i needs a terminal to type into and to show the run's; without one: "
            f"{where.typed} watch {wanted}".rstrip()
        )


def view(where: Where, fleet: Fleet, host: Any, run: RunInfo, *, stays: bool) -> int:
    """Show the terminal of a run in ours until it ends, and return its exit code; 0 if the person
    leaves it.

    stays: leave it where it waits, also when another host has room.
    """
    scout = None
    if where.remote and not stays and len(fleet.hosts) > 1:
        scout = Scout(where, fleet, looked=False)
    shown = LogView(where, host.name, terminal=True)
    try:
        while True:
            require_terminal(run, where.typed)
            place, waited = None, isinstance(run.state, Waiting)
            try:
                for news in host.view(ViewRun(run.id), _pause):
                    if not isinstance(news, RunInfo):
                        return _enter(where, host, run, news, shown)
                    run = news
                    _tell(where, shown, run)
                    place = None if scout is None else scout.move(host, run)
                    if place is not None:
                        break
            except (InvalidInput, UnknownRun):
                # Another client may have moved it; if not, the error is right.
                place = arrival(fleet, run.id) if waited else None
                if place is None or place is host:
                    raise
            if place is None:
                return 0
            host = place
            shown.moved_to(host.name)
            (run,) = host.answer(FindRuns(run.id)) or (run,)
    except KeyboardInterrupt:
        say(goes_on(where, run, "-i "))
        return INTERRUPTED


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _tell(where: Where, shown: LogView, run: RunInfo) -> None:
    shown.take(run)
    if isinstance(run.state, Preparing):
        progress = f": {run.state.progress}" if run.state.progress else ""
        where.note(f"run {run.id} prepares ({run.state.step.value}{progress})")


def _enter(where: Where, host: Any, run: RunInfo, stream: Any, shown: LogView) -> int:
    from genvx.fleet.terminals.view import view as show

    if isinstance(stream, socket.socket):
        stream.setblocking(False)
    where.note(f"the terminal of run {run.label_or_id}; Ctrl-] three times leaves it")
    try:
        left = show(stream)
        if left:
            say(goes_on(where, run, "-i "))
            return 0
        cut = not isinstance(stream, socket.socket) and stream.was_cut()
    finally:
        stream.close()
    again = f"run {run.id} goes on; {where.typed} watch -i {run.id} shows it again"
    if cut:
        raise HostUnreachable(f"{host.name}: the connection ended; {again}", kind="network")
    ended = _ended(host, run)
    if ended is None:
        raise GenvxError(f"nothing was read here for a while, and the view was ended; {again}")
    shown.take(LogEnd(ended))
    return shown.finish()


def _ended(host: Any, run: RunInfo) -> RunInfo | None:
    """Return the run as it has ended; None if only our view has ended."""
    over = time.monotonic() + _END_WITHIN
    while True:
        found: tuple[RunInfo, ...] = host.answer(FindRuns(run.id))
        for each in found:
            if is_over(each.state) or end_of(each.state) is not None:
                return each
        # Nobody supervises it: it is over as soon as nothing of it lives.
        if not any(each.note for each in found) or time.monotonic() > over:
            return None
        time.sleep(_AGAIN)
