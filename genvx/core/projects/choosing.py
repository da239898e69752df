"""Files that are chosen by patterns."""

from __future__ import annotations

import fnmatch
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def chosen(name: bytes, only: Iterable[str]) -> bool:
    """Whether a name fits a pattern: its last part, or with a slash in the pattern all of it."""
    for pattern in map(os.fsencode, only):
        compared = name if b"/" in pattern else name.rpartition(b"/")[2]
        if fnmatch.fnmatchcase(compared, pattern):
            return True
    return False
