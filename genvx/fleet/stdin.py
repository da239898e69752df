"""Reading our stdin, which may be a terminal that other jobs of a shell read, too."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# How often a job in the background looks whether it is in the foreground now.
_LOOK = 0.2


def read(descriptor: int, size: int) -> bytes:
    """As os.read; but from a terminal only while we are in its foreground.

    What is typed before that is for others. Never stops us inside of `not_stopped`.
    """
    while True:
        if not _in_background(descriptor):
            try:
                return os.read(descriptor, size)
            except OSError as error:
                # Put into the background while we read.
                if error.errno != errno.EIO or not _in_background(descriptor):
                    raise
        time.sleep(_LOOK)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False  # no terminal, or none that controls us: nobody stops us


@contextlib.contextmanager
def not_stopped() -> Iterator[None]:
    """Within it no SIGTTIN stops us: reading a terminal in the background is an error instead, for
    which `read` waits. For main threads.
    """
    before = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTTIN, before)


def close() -> None:
    """Have nothing more to read on stdin, for us and for what we start."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
