"""Ending processes politely: they are asked first, and killed after a grace."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from genvx.core import escalation

if TYPE_CHECKING:
    from signal import Signals
    from typing import Callable

_LOOK = 0.1
# A process that the kernel does not let go may stay for days: it is looked at ever less often, at
# least so many times in what it has stayed already.
_LOOKS = 8


def end(
    send: Callable[[Signals], object],
    remain: Callable[[], bool],
    *,
    patience: float = math.inf,
    grace: float = escalation.GRACE,
) -> bool:
    """End processes; False if some are still there `patience` seconds after they were killed.

    send: sends a signal to all of them, as they are at that moment. remain: whether there are any.
    grace: seconds between the question and the kill; 0 kills at once.
    """
    steps = escalation.politely(grace)
    killed = steps[-1].after
    began = time.monotonic()
    before = None
    while True:
        elapsed = time.monotonic() - began
        for number in escalation.due(steps, elapsed, before):
            send(number)
        before = elapsed
        if not remain():
            return True
        if elapsed > killed + patience:
            return False
        time.sleep(min(grace or _LOOK, max(_LOOK, (elapsed - killed) / _LOOKS)))
