"""Whether genvx may use a file that it found by itself, such as a hostfile in the current
directory.

The user did not name such a file, so another user who can write it would choose for them.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    import os


def stranger(file: os.stat_result, uid: int) -> Optional[str]:
    """Return why a file must not be used unless it is named, as words after "it"; None if it may
    be.
    """
    if file.st_uid not in (0, uid):
        return f"belongs to uid {file.st_uid}"
    if file.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    return None


def strange_directory(directory: os.stat_result, uid: int) -> Optional[str]:
    """Return the same for the file's directory, where others could replace the file; None if it is
    safe.
    """
    if directory.st_uid not in (0, uid):
        return f"is in a directory of uid {directory.st_uid}"
    # In a sticky directory such as /tmp only the owner of a file can rename or delete it, so there
    # the check of the file is enough.
    if directory.st_mode & stat.S_IWOTH and not directory.st_mode & stat.S_ISVTX:
        return "is in a directory that can be written by everybody"
    return None
