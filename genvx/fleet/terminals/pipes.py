"""Pipes of a command, read and written in threads of their own."""

from __future__ import annotations

import threading
from typing import IO


class PipeReader:
    """Reads a pipe to its end in a thread, so that a full pipe never blocks another."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self._file = file
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        if self._file is not None:
            while part := self._file.read(65536):
                self._parts.append(part)

    def result(self) -> bytes | None:
        """Wait for the end; return what was read, None without a pipe."""
        self._thread.join()
        return None if self._file is None else b"".join(self._parts)


def feed(file: IO[bytes], data: bytes) -> None:
    """Write to a pipe, and close it."""
    try:
        with file:
            while data:
                data = data[file.write(data) :]
    except (OSError, ValueError):
        pass  # the command has ended without reading it all
