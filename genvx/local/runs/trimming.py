"""Keeping the log of a run small: its head is freed, and every offset in it stays true.

The freed part becomes a hole in the file. Renaming and starting a new file would not do: the
command has this one open, and readers know their place in it by its offset.
"""

from __future__ import annotations

import ctypes
import os

from genvx.core.quantities.amounts import format_memory

# From <linux/falloc.h>: free the blocks, and leave the size as it is.
_PUNCH_HOLE, _KEEP_SIZE = 2, 1
# This part of the limit is freed at once, so that a log that grows is not cut at each look.
_STEP = 16


class Trimmer:
    """Frees the head of a log that has more than `most` bytes."""

    def __init__(self, log: int, most: int) -> None:
        self._log = log
        self._most = most
        self._freed = 0
        self._tried = True

    def trim(self) -> str:
        """Free the head if the log is too long; return what to tell the user, if anything."""
        status = os.fstat(self._log)
        if not self._tried or status.st_size - self._freed <= self._most:
            return ""
        block = max(status.st_blksize, 1)
        end = (status.st_size - self._most + self._most // _STEP) // block * block
        try:
            _punch(self._log, end)
        except OSError as error:
            self._tried = False
            return (
                f"--log-limit {format_memory(self._most)} is not possible here, and the whole log "
                f"is kept: its file system cannot free a part of a file ({error.strerror})"
            )
        self._freed = end
        return ""


def _punch(descriptor: int, end: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # With 64-bit offsets on every machine; musl has one function only, which has them.
    function = getattr(libc, "fallocate64", None) or libc.fallocate
    function.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if function(descriptor, _PUNCH_HOLE | _KEEP_SIZE, 0, end) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
