"""When the command of a run starts again after a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from genvx.core.runs.run import End

# Seconds. What fails at once most likely fails again: without a pause, a thousand retries would be
# over before anybody looks, or a full disk would be hit by a thousand logs.
_FIRST, _LONGEST = 1.0, 60.0
# What ran so long has started well, so its failure is a first one again.
_STEADY = 60.0


class Retries:
    """Counts the attempts of a run. most: how often it starts again."""

    def __init__(self, most: int) -> None:
        self.attempt = 1
        self._most = most
        self._in_a_row = 0

    def pause_after(self, end: End) -> Optional[float]:
        """Count a failure; return the seconds until the next start, None if there is none.

        The first retry is at once, the next ones after a pause that doubles, of 60 s at most.
        """
        if end.exit_code == 0 or self.attempt > self._most:
            return None
        self.attempt += 1
        self._in_a_row = 0 if end.seconds >= _STEADY else self._in_a_row + 1
        if self._in_a_row <= 1:
            return 0.0
        return float(min(_LONGEST, _FIRST * 2 ** min(self._in_a_row - 2, 10)))
