"""Lines on the terminals of users."""

from __future__ import annotations

import contextlib
import os
import stat


def write_line(terminal: int, uid: int, line: str) -> None:
    """Write a line to a user's terminal, given its device number."""
    major, minor = os.major(terminal), os.minor(terminal)
    # The kernel's numbers: 136 to 143 are pseudo terminals, 4 the consoles.
    if 136 <= major <= 143:
        path = f"/dev/pts/{(major - 136) * 256 + minor}"
    elif major == 4 and minor < 64:
        path = f"/dev/tty{minor}"
    else:
        return
    # NOCTTY: it must not become our terminal. NONBLOCK: one that was stopped with Ctrl-S would
    # block us.
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            # The number may be another user's terminal by now, or another one in a container: write
            # only if the number and the owner match.
            if stat.S_ISCHR(status.st_mode) and (status.st_rdev, status.st_uid) == (terminal, uid):
                os.write(descriptor, f"\r\n{line}\r\n".encode())
        finally:
            os.close(descriptor)
