"""Errors of a disk as StateErrors, which say what was done there and what to do."""

from __future__ import annotations

import errno

from genvx.core.text import printable
from genvx.errors import StateError

_ELSEWHERE = "choose another directory with GENVX_RUNS_DIR, or runs= in a hostfile"
_ADVICE = {
    errno.ENOSPC: f"the disk is full; free some space, or {_ELSEWHERE}",
    errno.EDQUOT: f"your disk quota is used up; free some space there, or {_ELSEWHERE}",
    errno.EROFS: f"the file system is read-only; {_ELSEWHERE}",
    errno.EACCES: f"permission denied; {_ELSEWHERE}",
}


def disk_error(error: OSError, doing: str) -> StateError:
    """Say in one line why something cannot be done to the directory of a run, or to a tree."""
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return StateError(f"cannot {printable(doing)}: {advice}")
