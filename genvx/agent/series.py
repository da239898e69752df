"""Runs one after the other for one client: each is started and watched to its end.

To start an agent takes longer than all else that a short run needs of its host. So this one stays
for a moment after the end of a run, and what the next supervisor needs is loaded in it already.
"""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, Optional

from genvx.agent.pieces import watch
from genvx.core.wire.asking import operation_of
from genvx.core.wire.callreader import read_call
from genvx.core.wire.runoperations import SubmitAndWatch, SubmitRun, WatchRun
from genvx.errors import ProtocolError
from genvx.local.host import LocalHost
from genvx.local.runs.questions import submit

if TYPE_CHECKING:
    from genvx.agent.farend import FarEnd

# Seconds in which the next call comes. A client counts on the half of it
# (fleet/detaching/series.py).
_STAYS = 60.0


def submit_and_watch(end: FarEnd, asked: SubmitAndWatch) -> int:
    """Start a run and watch it; then the next, until none is asked for any more."""
    following: Optional[SubmitAndWatch] = asked
    with contextlib.suppress(BrokenPipeError):  # the client is gone; its runs go on
        while following is not None:
            asked = following
            # Another one for each: what it knows of this machine may not be so any more.
            end.host = LocalHost()
            run = submit(end.host, SubmitRun(asked.spec, asked.patience, asked.tags))
            end.reply(asked, run)
            _load()
            watch(end, WatchRun(run.id, offset=0, reports=asked.reports))
            following = _next(end)
    return 0


def _load() -> None:
    """Load what the supervisor of the next run will need; each would load it for itself."""
    import genvx.local.state.held
    import genvx.local.state.tidying  # noqa: F401
    from genvx.local.state.lockfile import filelock_version

    filelock_version()


def _next(end: FarEnd) -> Optional[SubmitAndWatch]:
    """Wait for the next call; None if there is none."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    if not poll.poll(_STAYS * 1000):
        return None
    try:
        call = read_call(lambda size: os.read(0, size))
    except ProtocolError:  # the client has closed its end
        return None
    operation = operation_of(call)
    if call.token != end.token or not isinstance(operation, SubmitAndWatch):
        raise ProtocolError("another call came behind the end of a run")
    return operation
