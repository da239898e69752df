"""Whether a file that was found, and not named, may be followed: a user who could have written it
would choose for us.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    import os


def stranger(file: os.stat_result, uid: int) -> Optional[str]:
    """Why a file is not to be followed unasked, as words after "it"; None if it may be."""
    if file.st_uid not in (0, uid):
        return f"belongs to uid {file.st_uid}"
    if file.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    return None


def strange_directory(directory: os.stat_result, uid: int) -> Optional[str]:
    """The same of the directory that it is in, where others could put another file in its place."""
    if directory.st_uid not in (0, uid):
        return f"is in a directory of uid {directory.st_uid}"
    if directory.st_mode & stat.S_IWOTH and not directory.st_mode & stat.S_ISVTX:
        return "is in a directory that can be written by everybody"
    return None
