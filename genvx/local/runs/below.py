"""The processes below a supervisor: the command and all that it has started."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.local.runs import tree

if TYPE_CHECKING:
    import signal

    from genvx.local.machine import Machine
    from genvx.local.runs.usage import Meter


class Below:
    """The processes below us, without those that ask the driver for us.

    A process of ours that the driver does not answer is none of the run's, and cannot be ended.
    """

    def __init__(self, host: Machine) -> None:
        self._host = host

    def pids(self) -> list[int]:
        """Return the living ones."""
        return tree.descendants(os.getpid(), self._host.questions())

    def is_empty(self) -> bool:
        """Whether there are none, and none that has ended and was not collected."""
        return tree.is_empty(self._host.questions())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of them."""
        tree.signal_below(os.getpid(), number, self._host.questions())

    def discard(self) -> None:
        """Collect what has ended; it counts for nothing."""
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def reap(self, leader: int, meter: Meter) -> Optional[int]:
        """Collect what has ended; return the status of the command if it is among that."""
        found = None
        questions = self._host.questions()
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid not in questions:
                meter.collected(used)
            if pid == leader:
                found = status
