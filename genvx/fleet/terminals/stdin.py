"""Reading our stdin, which may be a terminal that other jobs of a shell read as well."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds between checks of a background job for being in the foreground again.
_LOOK = 0.2


def read(descriptor: int, size: int) -> bytes:
    """Read like os.read, but from a terminal only while we are in its foreground.

    What is typed before is meant for the shell or another job. Within `not_stopped`, reading never
    stops the process.
    """
    # A background job that reads its terminal gets SIGTTIN, which stops it. A stopped genvx sends
    # no signs of life, so its hosts would count it as lost and end the command.
    while True:
        if not _in_background(descriptor):
            try:
                return os.read(descriptor, size)
            except OSError as error:
                # EIO: put into the background while reading, with SIGTTIN ignored.
                if error.errno != errno.EIO or not _in_background(descriptor):
                    raise
        time.sleep(_LOOK)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:
        return False  # not our controlling terminal, so reading it stops nobody


@contextlib.contextmanager
def not_stopped() -> Iterator[None]:
    """Ignore SIGTTIN within the block; call it in the main thread.

    Reading a terminal in the background is then an error (EIO), which `read` handles by waiting.
    """
    before = signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTTIN, before)


def close() -> None:
    """Replace stdin by an empty one, for us and for the processes that we start."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
