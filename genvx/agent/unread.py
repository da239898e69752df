"""Unread tells when nobody reads our output any more."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from genvx.agent.client import AGAIN

if TYPE_CHECKING:
    from typing import Callable


class Unread:
    """Tells when nobody reads our output any more. Stdin is left alone, for a command to read.

    again: called now and then during the wait, to send something.
    """

    def __init__(self, out: int, again: Callable[[], None]) -> None:
        self._poll = select.poll()
        self._poll.register(out, 0)
        self._again = again
        self._said = time.monotonic()

    def wait(self, timeout: float) -> bool:
        """Return whether nobody reads our output, after `timeout` seconds at most."""
        if time.monotonic() >= self._said + AGAIN:
            self._said = time.monotonic()
            self._again()
        return bool(self._poll.poll(timeout * 1000))
