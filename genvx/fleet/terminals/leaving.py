"""The keys that leave the terminal of a run, which goes on: ^] three times within a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = 0x1D
_TIMES = 3
_WITHIN = 1.0


class Leaving:
    """Looks for the keys in what is typed. The first two of them are passed on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pressed: list[float] = []

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """Return what to pass on to the terminal, and whether the person leaves."""
        now = self._clock()
        for place, key in enumerate(typed):
            if key != _KEY:
                self._pressed.clear()
                continue
            self._pressed = [at for at in self._pressed if now - at <= _WITHIN] + [now]
            if len(self._pressed) == _TIMES:
                return typed[:place], True
        return typed, False
