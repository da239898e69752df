"""Viewing the terminal of a run: its state until it has begun, then a connection to it."""

from __future__ import annotations

import os
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Union

from genvx.core.runs.entry import require_terminal
from genvx.core.runs.runstate import Running
from genvx.errors import InvalidInput
from genvx.local import processes
from genvx.local.runs import viewsocket
from genvx.local.runs.catalog import RunCatalog

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from typing import Callable

    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.wire.viewoperation import ViewRun
    from genvx.local.machine import Machine

# Seconds between looks at a run that has not begun; after which its state is repeated, because a
# client that hears nothing takes the connection for lost; and that a run may have no socket yet.
_LOOK = 0.2
_AGAIN = 20.0
_OPENING = 5.0


def view(
    host: Machine, asked: ViewRun, pause: Callable[[float], bool]
) -> Iterator[Union[RunInfo, socket.socket]]:
    """Yield the run, again at each change of its state; once it runs, a socket: it sends what the
    terminal shows, and takes frames (core/wire/viewing.py).

    pause: waits so many seconds; True ends it.

    Raises:
        InvalidInput: the run has no terminal, or is over. UnknownRun: there is none. NotOwner: it
        is another user's.
    """
    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    told, said, runs_since = None, monotonic(), None
    while True:
        require_terminal(run)
        if isinstance(run.state, Running):
            _require_elsewhere(run, run.state)
            connected = viewsocket.connect(host.state, run.id)
            if connected is not None:
                yield connected
                return
            runs_since = monotonic() if runs_since is None else runs_since
            if monotonic() > runs_since + _OPENING:
                raise InvalidInput(_unreachable(run))
        if told != run.state or monotonic() > said + _AGAIN:
            told, said = run.state, monotonic()
            yield run
        if pause(_LOOK):
            return
        run = catalog.find(run.id)


def _require_elsewhere(run: RunInfo, state: Running) -> None:
    """Refuse to view a terminal in itself: its output would be its output again, for ever."""
    command = processes.describe(state.pid)
    with suppress(OSError):
        if command is not None and command.terminal and os.fstat(0).st_rdev == command.terminal:
            raise InvalidInput(f"this is the terminal of run {run.label_or_id} already")


def _unreachable(run: RunInfo) -> str:
    label = run.label_or_id
    if run.note:
        return f"the terminal of run {label} cannot be reached: {run.note}"
    return (
        f"the terminal of run {label} cannot be reached; runs info {run.id} shows whether it could "
        "not be made, and runs that an older genvx has started have none to view"
    )
