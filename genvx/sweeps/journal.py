"""The journal of a sweep: a line of JSON for each thing that happened, in order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Journal:
    """Journal appends events to a file, and reads those that are there.

    A process that is killed, or a full disk, may leave the beginning of a line at the end; it does
    not count.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def read(self) -> list[dict[str, Any]]:
        """Return all events.

        Raises:
            StateError: the file cannot be read.
        """
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(f"cannot read {self._path}: {error.strerror}") from None
        found = []
        for line in data.split(b"\n")[:-1]:
            try:
                event = loads(line)
            except Malformed:
                continue
            if isinstance(event, dict):
                found.append(event)
        return found

    def write(self, event: Mapping[str, Any], *, sync: bool = False) -> None:
        """Append an event. sync: return once it survives a power failure.

        Raises:
            StateError: it cannot be written.
        """
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            data = dumps(event) + b"\n"
            before = os.fstat(self._descriptor).st_size
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                os.ftruncate(self._descriptor, before)
                raise
            if sync:
                os.fsync(self._descriptor)
        except OSError as error:
            raise StateError(f"cannot write {self._path}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # The next line must not be joined to the beginning of one that was never finished.
            os.write(descriptor, b"\n")
        return descriptor
