"""How somebody leaves a terminal that goes on without them: ^] three times within a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY = 0x1D
_TIMES = 3
_WITHIN = 1.0


class Leaving:
    """Looks for the keys in what is typed. No single key is kept back: the last of them decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pressed: list[float] = []

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """Return what goes on to the terminal, and whether they leave."""
        now = self._clock()
        for place, key in enumerate(typed):
            if key != _KEY:
                self._pressed.clear()
                continue
            self._pressed = [at for at in self._pressed if now - at <= _WITHIN] + [now]
            if len(self._pressed) == _TIMES:
                return typed[:place], True
        return typed, False
