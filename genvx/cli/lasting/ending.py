"""Verbs that go on until a signal ends them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from genvx.shown.console import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable

# As systemd ends it, and as a terminal that is closed does: files must not be left behind.
_ENDING = (signal.SIGTERM, signal.SIGHUP)


class _Terminated(KeyboardInterrupt):
    """A signal has come that ends a service."""


def until_signal(act: Callable[[], object]) -> int:
    """Do something that has no end; return the exit code: 130 after Ctrl-C, else 0."""
    before = {number: signal.signal(number, _terminate) for number in _ENDING}
    try:
        act()
        return 0
    except _Terminated:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, frame: Any) -> None:
    # Once: what follows must not be interrupted.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise _Terminated
