"""Errors that are no fault of genvx: the machine, or a limit on it, has no more to give."""

from __future__ import annotations

import errno
from typing import Optional

_THREADS = "can't start new thread"


def exhausted(error: BaseException) -> Optional[str]:
    """What there is too little of, and what to do; None if the error is something else."""
    if _out_of_memory(error):
        return "out of memory; raise the limit (ulimit -v) or free some"
    if isinstance(error, RuntimeError) and _THREADS in str(error):
        return (
            "no more threads can be started; raise the limit of processes (ulimit -u) or of memory "
            "(ulimit -v)"
        )
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
        return "failed to map segment" in str(error) or "cannot allocate" in str(error).lower()
    # What CPython makes of an allocation that fails where nobody has thought of it.
    return isinstance(error, SystemError) and "without" in str(error) and "exception" in str(error)
