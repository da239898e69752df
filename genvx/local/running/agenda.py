"""The steps by which a command is ended, each at its time."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING

from genvx.core import escalation
from genvx.local.processes import boottime_ns
from genvx.local.running import notices

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Callable

    from genvx.core.escalation import Step

    # Sends a command a signal.
    Deliver = Callable[[signal.Signals], object]

_LOOK = 1.0


class Agenda:
    """The steps to take for a command, with their times, earliest first.

    When a step is due, we get SIGCHLD. The timeout of signal.sigtimedwait would be simpler. But if
    a stop (SIGSTOP) interrupts it and the time is over when we continue, it returns garbage, which
    may look like a signal (CPython 3.6 to 3.13).
    """

    def __init__(self, grace: float) -> None:
        self.grace = grace
        self._steps: list[tuple[int, Callable[[], object]]] = []
        self._closed = threading.Event()

    def add(self, at_ns: int, step: Callable[[], object]) -> None:
        """Add a step. at_ns: its time of CLOCK_BOOTTIME."""
        if at_ns not in (known for known, _ in self._steps):
            threading.Thread(target=self._call, args=(at_ns,), daemon=True).start()
        self._steps.append((at_ns, step))
        self._steps.sort(key=lambda pair: pair[0])

    def _call(self, at_ns: int) -> None:
        while (left := at_ns - boottime_ns()) > 0:
            # In short waits: a wait does not count the time in which the machine is suspended.
            if self._closed.wait(min(left / 1e9, _LOOK)):
                return
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGCHLD)

    def do_what_is_due(self) -> None:
        """Take the steps whose time has come."""
        while self._steps and self._steps[0][0] <= boottime_ns():
            self._steps.pop(0)[1]()

    def close(self) -> None:
        """Forget all steps."""
        self._closed.set()


def end_by(agenda: Agenda, deliver: Deliver, at_ns: int, steps: Sequence[Step]) -> None:
    """Have a command ended by these steps, which begin at `at_ns` of CLOCK_BOOTTIME."""
    for step in steps:
        at = at_ns + round(step.after * 1e9)
        for number in step.signals:
            agenda.add(at, lambda number=number: deliver(number))  # type: ignore[misc]


def end_in_time(agenda: Agenda, deliver: Deliver, end_ns: int) -> None:
    """Have a command warned, and ended at `end_ns` of CLOCK_BOOTTIME."""

    def warn() -> None:
        left = (end_ns - boottime_ns()) / 1e9
        if left > 0:  # otherwise we were stopped meanwhile
            _say(notices.warning(left))

    agenda.add(end_ns - round(notices.notice((end_ns - boottime_ns()) / 1e9) * 1e9), warn)
    agenda.add(end_ns, lambda: _say(notices.OVER))
    end_by(agenda, deliver, end_ns, escalation.politely(agenda.grace))


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{line}\n".encode())


def send(target: int, number: signal.Signals) -> None:
    """Send a signal to a process or, as -pid, to its group; nothing happens if it is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(target, number)
