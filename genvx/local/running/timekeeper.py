"""Ends an environment when its time is over: a warning, then TERM, then KILL.

A lease with an end has a keeper: a small separate process that holds nothing of the lease, and ends
with it. So the time is kept even if other processes are killed or stopped. If genvx runs a command
as its parent, the parent ends the command itself (supervise.py), and the keeper all other holders;
if the parent cannot, the keeper ends all of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Optional

from genvx.core import escalation
from genvx.local.processes import boottime_ns
from genvx.local.running import ending
from genvx.local.running.apart import apart
from genvx.local.running.leasefile import LeaseFile
from genvx.local.running.notices import OVER, notice, warning
from genvx.local.running.spared import Spared, stat_of

_LOOK = 1.0


def keep(
    descriptor: int,
    end_ns: int,
    *,
    spare: Optional[int] = None,
    supervised: bool = False,
    whole: bool = False,
    grace: float = escalation.GRACE,
) -> None:
    """Start a process that ends all holders of a lease at `end_ns` of CLOCK_BOOTTIME.

    descriptor: of the lease's file; our copy stays open, the process closes its own. spare: a
    process that is left alive; the lease is released instead, which that process notices.
    supervised: whether the spared process warns and ends its command itself, while it runs. whole:
    and all other holders: only those that outlive the grace are killed. grace: seconds between
    SIGTERM and SIGKILL.

    Raises:
        OSError: the process cannot be started.
    """
    file = LeaseFile.of(descriptor)
    spared = None if spare is None else Spared(spare, stat_of(spare).starttime, supervised, whole)
    terminal = _terminal()
    apart(lambda: _keep(file, end_ns, terminal, spared, grace))


def _terminal() -> Optional[str]:
    for number in range(3):
        with contextlib.suppress(OSError):
            return os.ttyname(number)
    return None


def _keep(
    file: LeaseFile,
    end_ns: int,
    terminal: Optional[str],
    spared: Optional[Spared],
    grace: float = escalation.GRACE,
) -> None:
    def tell(line: str) -> None:
        if not (spared and spared.supervises_now()):
            _tell(terminal, line)

    warn_ns: Optional[int] = end_ns - round(notice((end_ns - boottime_ns()) / 1e9) * 1e9)
    while (now_ns := boottime_ns()) < end_ns:
        if not file.is_held():
            return
        if warn_ns is not None and now_ns >= warn_ns:
            warn_ns = None
            tell(warning((end_ns - now_ns) / 1e9))
        # In short steps: a sleep does not count suspended time, and a released lease makes no
        # event.
        time.sleep(min(_LOOK, max(0.0, ((warn_ns or end_ns) - now_ns) / 1e9)))
    if not file.is_held():
        return
    tell(OVER)
    patience = time.monotonic() + 2 * grace
    ending.end(
        lambda number: _signal(file, number, spared, to_all=number is signal.SIGKILL),
        lambda: _lives_on(file, spared, patience),
        grace=grace,
    )
    if spared is not None:
        file.remove()


def _lives_on(file: LeaseFile, spared: Optional[Spared], patience: float) -> bool:
    """Whether processes other than the spared one hold the lease.

    The spared one counts, too, for a while, during which it ends its command.
    """
    if not file.is_held():
        return False
    if spared is None or (spared.supervises_now() and time.monotonic() < patience):
        return True
    return any(not spared.is_one(pid) for pid in file.holders())


def _signal(
    file: LeaseFile, number: signal.Signals, spared: Optional[Spared], *, to_all: bool
) -> None:
    """Signal the holders of the lease. to_all: also those that their parent is ending."""
    supervised = spared is not None and not to_all and spared.supervises_now()
    for pid in file.holders():
        if spared is not None and (spared.is_one(pid) or (supervised and spared.ends_itself(pid))):
            continue
        file.signal(pid, number)


def _tell(terminal: Optional[str], line: str) -> None:
    if terminal is None:
        return
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(terminal, flags)
        try:
            os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)
