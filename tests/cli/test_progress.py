"""Lines on stderr that change, and are erased at the end."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
import termios

SHOWS = """
from genvx.cli.show.sending import Sending
with Sending("sending code to") as shown:
    shown._began -= 10
    shown.update("gpu-server-1.example.org", 1, 1 << 30)
"""


def test_a_line_that_changes_fits_the_terminal_of_stderr_also_where_stdout_is_a_pipe():
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    try:
        subprocess.run(
            [sys.executable, "-c", SHOWS], stdout=subprocess.PIPE, stderr=theirs, check=True
        )
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert shown == f"\r\x1b[K{'sending code to gpu-server-1.example.org'[:39]}\r\x1b[K"
