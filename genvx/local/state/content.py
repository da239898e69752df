"""What a held file has in it, as it is found."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.core.wire.plain import Malformed
from genvx.local.state import locks
from genvx.local.state.kinds import MOST_BYTES

if TYPE_CHECKING:
    from genvx.local.state.userdirectory import UserDirectory


@value
class Content:
    """A held file as it is found. data: empty for one that is dead, and too long. for_all: whether
    everybody can read it.
    """

    held: bool
    data: bytes
    for_all: bool


def read_content(user: UserDirectory, name: str) -> Content:
    """What is in a held file of a user's, and whether somebody holds it.

    Raises:
        Malformed: it is no regular file of theirs, or alive and too long. OSError: it cannot be
        opened.
    """
    descriptor = user.open(name)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Malformed("not a regular file")
        held = locks.is_held(descriptor)
        if status.st_uid != user.uid:
            raise Malformed(f"a file of uid {status.st_uid}, not of the directory's owner")
        for_all = bool(status.st_mode & stat.S_IROTH)
        if status.st_size > MOST_BYTES:
            if not held:
                return Content(held, b"", for_all)
            raise Malformed(f"more than {MOST_BYTES} bytes")
        return Content(held, os.pread(descriptor, MOST_BYTES, 0), for_all)
    finally:
        os.close(descriptor)
