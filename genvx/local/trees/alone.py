"""A directory into which one process at a time copies files."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from genvx.core.projects.manifest import shown_name
from genvx.errors import StateError

# Seconds in which what is left of a transfer that was cut notices that, and ends.
_ENDING = 10.0
_LOOK = 0.1


def keep_others_out(descriptor: int, path: str) -> None:
    """Lock a directory, by its descriptor, until that is closed. Two that copy files into it would
    take each other's contents away. Where the file system has no locks, nothing happens.

    Raises:
        StateError: another process has locked it.
    """
    end = time.monotonic() + _ENDING
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                return
        if time.monotonic() > end:
            shown = shown_name(os.fsencode(path))
            raise StateError(f"another genvx copies files into {shown} at this moment")
        time.sleep(_LOOK)
