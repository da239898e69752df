"""The client that called us, on the other ends of stdin and stdout."""

from __future__ import annotations

import math
import os
import select
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.wire.protocol import ALIVE

if TYPE_CHECKING:
    from genvx.core.line.standing import Standing

# Words of a client to an agent that holds devices for it: it accepts the offer; and a shell in a
# terminal will join now, under the token of the same call.
TAKES, JOINS = b"+", b">"

# Seconds between news at the least, and after which unchanged news is repeated, so that both ends
# notice a lost connection.
_NEWS = 5.0
AGAIN = 20.0


class Client:
    """Tells when the client is gone or has something to say.

    out: the descriptor that the client reads. silence: seconds after which a silent client counts
    as gone, because sshd may take hours to notice a cut network.
    """

    def __init__(self, out: int, silence: float = math.inf) -> None:
        self._out = out
        self._silence = silence
        self._heard = time.monotonic()
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        # No events: poll always reports errors and hang-ups, such as a pipe that nobody reads any
        # more.
        self._poll.register(out, 0)
        self._said = b""
        self._told: Optional[Standing] = None
        self._at = float("-inf")

    def wait(self, timeout: Optional[float]) -> bool:
        """Return whether the client is gone within `timeout` seconds; None waits until it is."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            heard = self._hear(min(end, self._heard + self._silence))
            if heard == b"":
                return True
            if heard is None:
                gone = time.monotonic() >= self._heard + self._silence
                if gone or time.monotonic() >= end:
                    return gone

    def says(self, word: bytes, timeout: Optional[float]) -> bool:
        """Whether the client says `word` within `timeout` seconds, or has said it; False if it is
        gone.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while word not in self._said:
            if not self._hear(min(end, self._heard + self._silence)):
                return False
        return True

    def wants_news(self, standing: Standing) -> bool:
        """Whether to send the client this position in the line now."""
        age = time.monotonic() - self._at
        if age < _NEWS or (standing == self._told and age < AGAIN):
            return False
        self._told, self._at = standing, time.monotonic()
        return True

    def _hear(self, end: float) -> Optional[bytes]:
        """What the client says: b"" if it is gone, None if it is silent until `end`."""
        left = None if end == math.inf else max(0.0, end - time.monotonic()) * 1000
        ready = self._poll.poll(left)
        if not ready:
            return None
        if any(descriptor == self._out for descriptor, _ in ready):
            return b""
        self._heard = time.monotonic()
        heard = os.read(0, 4096)
        # Signs of life come for ever, and are not kept.
        self._said = (self._said + heard.replace(ALIVE, b""))[-16:]
        return heard
