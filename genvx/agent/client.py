"""Whoever called us, on the other ends of stdin and stdout."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from genvx.core.queue import Standing

# What a client says to a far end that holds devices for it: that it takes what it was offered; and
# that a shell in a terminal is to join now, under the token of the same call.
TAKES, JOINS = b"+", b">"

# News travel at most this often, and an old one again after a while, so that a connection that is
# gone is noticed from either end.
_NEWS = 5.0
_AGAIN = 20.0


class Client:
    """Tells when the client is gone or has something to say.

    out: the descriptor that it reads.
    """

    def __init__(self, out: int) -> None:
        self._out = out
        self._poll = select.poll()
        self._poll.register(0, select.POLLIN)
        self._poll.register(out, 0)
        self._said = b""
        self._told: Optional[Standing] = None
        self._at = float("-inf")

    def wait(self, timeout: Optional[float]) -> bool:
        """Whether it is gone within so many seconds; None waits until something happens."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(0.0, end - time.monotonic())
            heard = self._hear(left)
            if heard is None or heard == b"":
                return heard == b""

    def says(self, word: bytes, timeout: Optional[float]) -> bool:
        """Whether it says that within so many seconds, or has said it; False once it is gone."""
        end = None if timeout is None else time.monotonic() + timeout
        while word not in self._said:
            if not self._hear(None if end is None else max(0.0, end - time.monotonic())):
                return False
        return True

    def wants_news(self, standing: Standing) -> bool:
        """Whether to tell it how it stands now."""
        age = time.monotonic() - self._at
        if age < _NEWS or (standing == self._told and age < _AGAIN):
            return False
        self._told, self._at = standing, time.monotonic()
        return True

    def _hear(self, timeout: Optional[float]) -> Optional[bytes]:
        """What it says: b"" when it is gone, None when it is silent for so many seconds."""
        ready = self._poll.poll(None if timeout is None else timeout * 1000)
        if not ready:
            return None
        if any(descriptor == self._out for descriptor, _ in ready):
            return b""
        heard = os.read(0, 4096)
        self._said = (self._said + heard)[-16:]
        return heard
