"""Remembers host keys that were accepted."""

from __future__ import annotations

import base64
import os

from genvx.core.text import printable
from genvx.errors import HostKeyError


def remember(path: str, name: str, kind: str, blob: bytes) -> None:
    """Append a key to a known_hosts file, in one write.

    Raises:
        HostKeyError: the file cannot be written; the key is not accepted either.
    """
    if path == os.devnull:
        return
    line = f"{name} {kind} {base64.b64encode(blob).decode('ascii')}\n"
    try:
        os.makedirs(os.path.dirname(path) or ".", mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A last line without its end, as editors leave one, would merge with the new one, and
            # both keys be lost.
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = "\n" + line
            os.write(descriptor, line.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HostKeyError(
            f"cannot remember the new key of {name} in {printable(path, 200)}: {error.strerror}"
        ) from None
