"""Ending all that the command of a run has started: SIGTERM first, SIGKILL after a grace."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runstate import StopReason
from genvx.local.runs.record import StopRequest

if TYPE_CHECKING:
    from typing import Callable

    from genvx.local.runs.below import Below
    from genvx.local.runs.usage import Meter

# Seconds between looks at processes that are to end.
SOON = 0.1
# Seconds after SIGKILL: a process that is still there hangs in the kernel.
STUCK = 5.0


class TreeEnd:
    """Ends the processes of one attempt of a run, by one request or after the command's own end.

    say: appends a line to the log. terminate: sends SIGTERM to those that are to get it, within so
    many seconds, and returns whether that is done, else it is called again; None has all of them
    get it.
    """

    def __init__(
        self,
        below: Below,
        say: Callable[[str], None],
        terminate: Optional[Callable[[float], bool]] = None,
    ) -> None:
        self._below = below
        self._terminate = terminate
        self._terminated = True
        self._say = say
        self._request: Optional[StopRequest] = None
        self._kill_at: Optional[float] = None

    def stop(self, request: StopRequest) -> None:
        """Have everything end: SIGTERM at first, SIGKILL once the grace is over. To be called again
        until the command has ended; another request counts if its grace ends sooner.
        """
        if self._kill_at is None:
            self._say(f"stopped ({request.why.value})")
            self._ask(request)
        else:
            self._hurry(request)
            left = self._kill_at - time.monotonic()
            if not self._terminated and self._terminate is not None and left > 0:
                self._terminated = self._terminate(left)
        self._kill_in_time()

    def leftovers(
        self,
        sleep: Callable[[float], None],
        meter: Meter,
        grace: float,
        stop: Callable[[], Optional[StopRequest]],
    ) -> None:
        """End what the command has left behind; return once nothing of it is left.

        stop: returns what was asked for, which may become more urgent meanwhile.
        """
        self._terminate = None  # that was for the command, which is over
        self._below.reap(0, meter)
        if self._below.is_empty():
            return
        left = self._below.pids()
        if left:
            many = "1 process" if len(left) == 1 else f"{len(left)} processes"
            self._say(f"ending what the command left behind: {many}")
        if self._kill_at is None:
            self._ask(stop() or StopRequest(StopReason.ASKED, os.getuid(), grace))
        said = False
        while not self._below.is_empty():
            request = stop()
            if request is not None:
                self._hurry(request)
            if self._kill_in_time() > STUCK and not said:
                said = True
                stuck = ", ".join(map(str, self._below.pids()))
                self._say(f"SIGKILL does not end these processes: {stuck}; the GPUs stay leased")
            sleep(SOON)
            self._below.reap(0, meter)

    def _ask(self, request: StopRequest) -> None:
        self._request, self._kill_at = request, _end_of(request)
        if not request.force:
            if self._terminate is None:
                self._below.signal(signal.SIGTERM)
            else:
                self._terminated = self._terminate(request.grace)
            # A stopped process handles SIGTERM only after it is continued.
            self._below.signal(signal.SIGCONT)

    def _hurry(self, request: StopRequest) -> None:
        assert self._kill_at is not None, "_ask comes first"
        if request != self._request:
            self._request, self._kill_at = request, min(self._kill_at, _end_of(request))

    def _kill_in_time(self) -> float:
        """Kill once the grace is over; return for how many seconds it has been over."""
        assert self._kill_at is not None, "_ask comes first"
        over = time.monotonic() - self._kill_at
        if over >= 0:
            self._below.signal(signal.SIGKILL)
        return over


def _end_of(request: StopRequest) -> float:
    """When the grace of a request that is made now is over."""
    return time.monotonic() + (0.0 if request.force else request.grace)
