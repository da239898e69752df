"""The guardian of a shell: a process that holds the lease for a shell that cannot do so itself."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING

from genvx.local import processes
from genvx.local.holders import GUARDIAN
from genvx.local.running.apart import apart
from genvx.local.running.leasefile import LeaseFile

if TYPE_CHECKING:
    from typing import Optional

_LOOK = 1.0


def guard(descriptor: int, pid: int) -> None:
    """Hold a lease in a separate process while the process `pid` lives and the lease is not
    released.

    Our own copy of the descriptor stays open.
    """
    file = LeaseFile.of(descriptor)
    # Opened before the fork, while the shell waits for us and so certainly lives: later its pid
    # might be another process.
    life = _life(pid)
    apart(
        lambda: _guard(life, pid, file),
        keep=(descriptor, *([] if life is None else [life])),
    )
    if life is not None:
        os.close(life)


def _life(pid: int) -> Optional[int]:
    """A descriptor that becomes readable when a process ends; None before Linux 5.3."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _guard(life: Optional[int], pid: int, file: LeaseFile) -> None:
    processes.call_ourselves(GUARDIAN)
    poll = select.poll()
    if life is not None:
        poll.register(life, select.POLLIN)
    # The pidfd wakes us at once when the shell ends. A released lease makes no event, so that is
    # looked for now and then.
    while not poll.poll(_LOOK * 1000):
        if not file.is_held():
            return  # released
        if life is None:
            with contextlib.suppress(PermissionError):
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    return
