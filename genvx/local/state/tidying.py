"""Deletes half-made files in one's own directory, before another is made there."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.core.leases.claim import Owner
from genvx.core.wire.plain import Malformed
from genvx.errors import StateError
from genvx.local import processes
from genvx.local.state.kinds import CLAIMS, suffixes
from genvx.local.state.publishing import OPENED, TEMPORARY
from genvx.local.state.reading import read_claim
from genvx.local.state.userdirectory import MOST_OF_A_KIND

if TYPE_CHECKING:
    from genvx.local.state.directory import StateDirectory

# How long a prepared file may stay empty, until the shell that opened it asks for a lease in it.
# Later it counts as left behind.
_OPENED_SECONDS = 60.0


def tidy(state: StateDirectory, directory: int, most: int) -> None:
    """Delete half-made files that were left in one's own directory; refuse a flood.

    A file that a living process is making may be taken for dead before it is locked; its maker
    notices, and starts again. Dead leases are not deleted here: the caller has scanned just
    before.
    """
    user = state.own_directory(directory)
    known = suffixes(CLAIMS)
    names, whole = user.names((*known, TEMPORARY, OPENED), 8 * MOST_OF_A_KIND)
    if not whole or sum(name.endswith(known) for name in names) >= most:
        raise StateError(
            f"you have {most} leases, places in lines and files of junk in "
            f"{state.path_of(directory)}, and more might not be seen; release what you "
            "do not need, and delete junk there"
        )
    for name in names:
        if name.endswith((TEMPORARY, OPENED)):
            with contextlib.suppress(OSError, Malformed):  # not proved dead
                if name.endswith(OPENED) and _was_asked_for_now(name):
                    continue
                if not read_claim(user, name, Owner(user.uid, ""))[1]:
                    os.unlink(name, dir_fd=directory)


def _was_asked_for_now(name: str) -> bool:
    """Whether a shell may soon use a prepared file: its name begins with the time of its making."""
    with contextlib.suppress(ValueError):
        return 0 <= processes.boottime_ns() / 1e9 - int(name[1:9], 16) < _OPENED_SECONDS
    return False
