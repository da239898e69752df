"""Files and keys of a sandbox, as they are written, and where this package is."""

from __future__ import annotations

import os

import genvx
from genvx.keypair import new_key

MODE_PRIVATE = 0o700


def package_root() -> str:
    """Return the directory from which this package was imported: an installation or a checkout."""
    return os.path.dirname(os.path.dirname(os.path.abspath(str(genvx.__file__))))


def write(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file; it has this mode from the beginning if it is new."""
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def make_key(path: str, comment: str) -> str:
    """Write an ed25519 key in OpenSSH's format; return its public line."""
    private, line = new_key(comment)
    write(path, private)
    write(f"{path}.pub", line + "\n")
    return line
