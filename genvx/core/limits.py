"""Errors that come from a limit of the machine or of the user, not from a fault of genvx."""

from __future__ import annotations

import errno
from typing import Optional

_THREADS = "can't start new thread"


def exhausted(error: BaseException) -> Optional[str]:
    """Say which resource is exhausted and what to do; None if the error has another cause."""
    if _out_of_memory(error):
        return "out of memory; raise the limit (ulimit -v) or free some"
    if isinstance(error, RuntimeError) and _THREADS in str(error):
        return (
            "no more threads can be started; raise the limit of processes (ulimit -u) or of memory "
            "(ulimit -v)"
        )
    # fork fails with EAGAIN at the limit of processes. An EAGAIN with a file name comes from an
    # open or a lock, and means something else.
    if isinstance(error, BlockingIOError) and error.filename is None:
        return "no more processes can be started; raise their limit (ulimit -u)"
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise their limit (ulimit -n)"
    return None


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, ImportError):
        # A shared library that does not fit under the limit of address space (ulimit -v) fails to
        # load.
        return "failed to map segment" in str(error) or "cannot allocate" in str(error).lower()
    # CPython raises SystemError where a C function fails for want of memory but sets no exception.
    return isinstance(error, SystemError) and "without" in str(error) and "exception" in str(error)
