"""Errors of a disk as StateErrors, which say what was done there and what to do."""

from __future__ import annotations

import errno
import os

from genvx.core.projects.manifest import STAGE, shown_name
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


def landing_error(error: OSError, path: str) -> StateError:
    """Say in one line why files cannot be copied into a directory."""
    where = os.fsencode(path)
    named = error.filename if isinstance(error.filename, (str, bytes)) else b""
    file = f" ({shown_name(os.fsencode(named))})" if named else ""
    why = error.strerror or str(error)
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        why = "a symbolic link or a file is in the way"
    elif error.errno == errno.EEXIST and os.path.lexists(path) and not os.path.isdir(path):
        file, why = "", "it is not a directory"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        full = "the disk is full" if error.errno == errno.ENOSPC else "your disk quota is used up"
        why = f"{full}; what has come is in {shown_name(STAGE)} there, and the next try uses it"
    return StateError(f"cannot write to {shown_name(where)}{file}: {why}")
