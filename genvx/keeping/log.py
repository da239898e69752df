"""The log of a keeper: what went wrong in it and in its carriers, on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time

from genvx.core.text import printable

_MOST = 64 * 1024


def begin() -> None:
    """Begin a new log if the one that is there is full."""
    if os.fstat(2).st_size > _MOST:
        os.ftruncate(2, 0)


def log(error: BaseException) -> None:
    """Write a line to the log, unless that is full."""
    with contextlib.suppress(OSError):
        if os.fstat(2).st_size < _MOST:
            when = time.strftime("%Y-%m-%d %H:%M:%S")
            text = printable(str(error), 300)
            sys.stderr.write(f"{when} {os.getpid()} {type(error).__name__}: {text}\n")
            sys.stderr.flush()
