"""A progress line for files that are sent or fetched, on a terminal only, if that takes long."""

from __future__ import annotations

import sys
import time

from genvx.cli.show.progress import LINE, one_line
from genvx.core.block import Block
from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_size

_PATIENCE = 0.5
_AGAIN = 0.1
# Seconds before which the time that is left cannot be estimated.
_KNOWN_AFTER = 2.0


class Sending(Block):
    """Sending shows `sending code to gpu-server-1: 41% of 1.2 GiB, 80 MiB/s, 9 s left` on stderr,
    and removes it when its block ends.

    what: what is done, in words before the name of the host.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = 0.0
        self._drawn = 0.0
        self._hosts: dict[str, tuple[int, int]] = {}
        self._stream = sys.__stderr__ or sys.stderr
        self._terminal = self._stream.isatty()

    @property
    def total(self) -> int:
        """The bytes that have been sent."""
        return sum(done for done, _ in self._hosts.values())

    def update(self, host: str, done: int, total: int) -> None:
        """Set how many bytes have been sent to a host, and how many are to be sent."""
        with LINE:
            self._hosts[host] = (done, total)
            now = time.monotonic()
            # Not from the start of the block: before, files may be read, and people asked.
            self._began = self._began or now
            if self._terminal and now >= max(self._began + _PATIENCE, self._drawn + _AGAIN):
                self._drawn = now
                self._stream.write(f"\r\x1b[K{one_line(self._text(now), self._stream)}")
                self._stream.flush()

    def _text(self, now: float) -> str:
        done, total = self.total, sum(each for _, each in self._hosts.values())
        names = list(self._hosts)
        place = names[0] if len(names) == 1 else f"{len(names)} hosts"
        seconds = now - self._began
        text = f"{self._what} {place}: {100 * done // max(1, total)}% of "
        text += f"{format_size(total)}, {format_size(int(done / seconds))}/s"
        if seconds >= _KNOWN_AFTER and done:
            text += f", {format_duration(round((total - done) * seconds / done))} left"
        return text

    def clear(self) -> None:
        """Remove the line, before another one is printed."""
        with LINE:
            if self._drawn:
                self._drawn = 0.0
                self._stream.write("\r\x1b[K")
                self._stream.flush()

    def _leave(self) -> None:
        self.clear()
