"""Whom root has admitted to a provisioned machine, for those who are not."""

from __future__ import annotations

import grp
import os
import stat
from contextlib import suppress

from genvx.core.text import printable
from genvx.errors import StateError


def refuse_outsider(error: OSError, path: str) -> None:
    """Explain an error on the directory of leases if root has admitted one group only.

    Raises:
        StateError: that is the reason.
    """
    if not isinstance(error, PermissionError):
        return
    try:
        status = os.stat(path)
    except OSError:
        return
    if status.st_uid != 0 or status.st_mode & stat.S_IRWXO or not status.st_mode & stat.S_IRWXG:
        return
    group = str(status.st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    raise StateError(
        f"{path} is for the group {printable(group, 60)} only; ask the administrator to add you to "
        "it, then log in again"
    ) from None
