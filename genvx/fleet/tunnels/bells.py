"""Waking a thread that waits for sockets."""

from __future__ import annotations

import os
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Bells(Generic[T]):
    """Bells collects what rings, in any thread, and makes a descriptor readable.

    `ring` does nothing once it is closed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung: set[T] = set()
        self._closed = False
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        """The descriptor that is readable while something has rung."""
        return self._read

    def ring(self, what: T) -> None:
        """Note that something may have changed."""
        # Under the lock: the number of a descriptor that is closed meanwhile may be that of a
        # connection by the time we write to it.
        with self._lock:
            first = not self._rung
            self._rung.add(what)
            # Only the first writes, so the pipe never has more than one byte, and none blocks.
            if first and not self._closed:
                os.write(self._write, b"\0")

    def take(self) -> set[T]:
        """Return what has rung since the last time."""
        with self._lock:
            rung, self._rung = self._rung, set()
            if rung:
                os.read(self._read, 1)
        return rung

    def close(self) -> None:
        """Close the descriptors."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._read)
                os.close(self._write)
