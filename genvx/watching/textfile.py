"""Writes the page of metrics where node_exporter's textfile collector reads it."""

from __future__ import annotations

import contextlib
import os

from genvx.errors import InvalidInput

NAME = "genvx.prom"


def require_directory(directory: str) -> str:
    """Return the path of a directory that files can be written to.

    Raises:
        InvalidInput: it is none.
    """
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path):
        raise InvalidInput(f"--textfile: no directory {path}")
    if not os.access(path, os.W_OK | os.X_OK):
        raise InvalidInput(f"--textfile: you cannot write to {path}")
    return path


def write(directory: str, page: bytes) -> None:
    """Replace the file of metrics: a reader sees the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written.
    """
    # node_exporter reads *.prom, so this one is not read before it is complete.
    partial = os.path.join(directory, f".{NAME}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(partial, flags, 0o644), "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # node_exporter is another user, whatever our umask is
            file.write(page)
        os.replace(partial, os.path.join(directory, NAME))
    except BaseException:  # also the signal that ends the monitor
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def remove(directory: str) -> None:
    """Delete the file: without a monitor its numbers would stay as they are for ever."""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(directory, NAME))
