"""A program in a pseudo-terminal, and what it prints."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import time
from collections.abc import Mapping, Sequence

PATIENCE = 60.0


def readable(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or the end of it, within so many seconds."""
    poll = select.poll()  # select() takes no descriptor above 1,023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Terminal:
    """Started at once. Every wait ends after a time that only a fault needs."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), dict(env))
        os.set_inheritable(self._master, False)  # or the next one would keep this one up
        self._seen = b""

    def until(self, text: bytes) -> None:
        """Wait for `text`, and forget all up to it."""
        end = time.monotonic() + PATIENCE
        while text not in self._seen:
            left = end - time.monotonic()
            if left <= 0 or not readable(self._master, left):
                raise SystemExit(f"waited for {text!r} in vain: {self._seen[-500:]!r}")
            self._seen += os.read(self._master, 65536)
        self._seen = self._seen[self._seen.index(text) + len(text) :]

    def type(self, data: bytes) -> None:
        os.write(self._master, data)

    def wait(self) -> None:
        """Wait for its own end."""
        with contextlib.suppress(OSError):
            while os.read(self._master, 65536):
                pass
        os.waitpid(self.pid, 0)
        os.close(self._master)

    def ended(self, patience: float) -> int | None:
        """Its exit code; None if it has not ended within so many seconds. `shown` has what it
        printed.
        """
        end = time.monotonic() + patience
        with contextlib.suppress(OSError):
            while (left := end - time.monotonic()) > 0:
                if readable(self._master, left):
                    self._seen += os.read(self._master, 65536)
        if time.monotonic() > end:
            return None
        os.close(self._master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def shown(self) -> str:
        """What it printed and nobody waited for."""
        return self._seen.decode("utf-8", "replace")

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.close(self._master)
        os.waitpid(self.pid, 0)
