"""The standard streams of a command, which may be closed, full, or unable to show a character."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def open_streams() -> None:
    """Prepare the standard streams.

    Closed ones become /dev/null: otherwise the next file that is opened, such as a lease or a
    connection, would get their number. Characters that a terminal cannot show are escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # gets this number: it is the lowest that is free
                os.set_inheritable(number, True)
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
    for shown in (sys.stdout, sys.stderr):
        if isinstance(shown, io.TextIOWrapper):
            # A name that a terminal cannot show must not make the command fail.
            shown.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what stdout still holds, while errors can be reported; a closed pipe is none."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass


def write_out() -> None:
    """Write what the streams still hold, before the process ends."""
    for stream in (sys.stdout, sys.stderr):
        _write_out(stream)


def _write_out(stream: TextIO) -> None:
    """Write what a stream still holds; drop it if that fails, or Python complains at exit."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
