"""Withdrawing a waiting run from the line of this machine, so that it can start on another one.

The run's supervisor decides, because it alone knows whether the run has begun: it reads the request
once more when it holds the devices, and ignores it from then on. What it writes is the answer.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from genvx.core.runs.runselect import require_waiting
from genvx.core.runs.runstate import Preparing, StopReason, Waiting, was_moved
from genvx.errors import InvalidInput, StateError
from genvx.local import processes, signals
from genvx.local.runs import lock
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.record import StopRequest

if TYPE_CHECKING:
    from genvx.core.runs.runinfo import RunInfo
    from genvx.local.machine import Machine

# A supervisor is woken to decide, and may be asking the driver just then.
# Shorter than a client waits for an answer.
_DECISION = 8.0
_LOOK = 0.02


def withdraw(host: Machine, wanted: str) -> RunInfo:
    """Take a waiting run out of the line for good; return it as it is then.

    Raises:
        InvalidInput: it does not wait, has begun meanwhile, or somebody else withdraws it.
        UnknownRun, NotOwner: as `RunCatalog.find`. StateError: its supervisor does not answer.
    """
    catalog = RunCatalog(host)
    found = catalog.find(wanted)
    found.require_here("runs move")
    with catalog.open(found) as directory:
        # Of two who withdraw it, both would read that it was withdrawn, and start it twice.
        held = directory.lock_withdrawal()
        if held is None:
            raise InvalidInput(f"somebody else moves run {found.id} just now")
        try:
            run = catalog.find(found.id)
            require_waiting(run)
            directory.request_stop(StopRequest(StopReason.MOVED, host.state.uid, run.spec.grace))
            wake(host, run)
            return _decided(catalog, run)
        finally:
            os.close(held)


def wake(host: Machine, run: RunInfo) -> None:
    """Have its supervisor look for requests at once."""
    supervisor = lock.supervision_of(host.state, host.state.uid, run.id)
    if supervisor is not None:
        # Not SIGTERM, which ends a run: this may arrive when it has begun. And SIGCHLD is ignored
        # by a supervisor that does not wait for signals yet.
        signals.send(
            supervisor.pid,
            signal.SIGCHLD,
            lambda: processes.starttime(supervisor.pid) == supervisor.starttime,
        )


def _decided(catalog: RunCatalog, run: RunInfo) -> RunInfo:
    end = time.monotonic() + _DECISION
    while isinstance(run.state, (Waiting, Preparing)):
        if time.monotonic() >= end:
            require_waiting(run)
            raise StateError(
                f"the supervisor of run {run.id} did not say in time whether it still waits; "
                f"runs info {run.id} shows what became of it"
            )
        time.sleep(_LOOK)
        run = catalog.find(run.id)
    if not was_moved(run.state):
        require_waiting(run)
    return run
