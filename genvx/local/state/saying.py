"""Errors of the operating system as StateErrors, which say what was done and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from genvx.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator


def state_error(error: OSError, doing: str) -> StateError:
    """Say in one line what an operating system error on the state means and what to do about it."""
    advice = {
        errno.ENOSPC: "the disk is full, or out of inodes; free some space, or choose another "
        "directory with GENVX_STATE_DIR",
        errno.EDQUOT: "your disk quota is used up; free some space there",
        errno.EROFS: "the file system is read-only; choose another directory with GENVX_STATE_DIR",
        errno.EMFILE: "this process has too many files open; raise ulimit -n",
        errno.ENFILE: "the machine has too many files open",
        errno.EACCES: "permission denied; ask the administrator to run 'genvx admin provision'",
        errno.EPERM: "not permitted; ask the administrator to run 'genvx admin provision'",
        errno.EIO: "the disk fails; look at dmesg",
    }.get(error.errno or 0, os.strerror(error.errno) if error.errno else str(error))
    return StateError(f"cannot {doing}: {advice}")


@contextlib.contextmanager
def saying(doing: str) -> Iterator[None]:
    """Turn an operating system error of the block into a StateError that says what was done."""
    try:
        yield
    except OSError as error:
        raise state_error(error, doing) from None
