"""Signals to processes that are still the ones that were meant."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Callable


def send(pid: int, number: signal.Signals, meant: Callable[[], bool]) -> None:
    """Send a signal to a process if we may, and if `meant` still says so once its pid is pinned.

    With a pidfd the pid cannot become another process in between. Before Linux 5.3 there are none:
    there `meant` is asked just before.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        process = -1
    try:
        if meant():
            if process >= 0:
                signal.pidfd_send_signal(process, number)
            else:
                os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        if process >= 0:
            os.close(process)
