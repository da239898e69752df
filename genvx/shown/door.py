"""The frame of a command: its streams, and every failure as one clear line and an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def answered(act: Callable[[], int]) -> int:
    """Run a command and return its exit code; every failure becomes one line on stderr."""
    try:
        return act()
    except GenvxError as error:
        say(f"genvx: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("")
        return INTERRUPTED
    # As `genvx devices | head` does: the reader has enough, which is no failure.
    except BrokenPipeError:
        return 0
    except OSError as error:
        what = f"{error.strerror or error}"
        if error.filename is not None:
            what += f" ({printable(str(error.filename))})"
        elif error.errno in _FULL:
            # Writing genvx's own files fails as a StateError, so an error without a file name is
            # from a stream.
            what = f"cannot write the output: {what}"
        say(f"genvx: {what}")
        return GenvxError.exit_code
    except Exception as error:
        short = exhausted(error)
        if short is not None:
            say(f"genvx: {short}")
            return GenvxError.exit_code
        if os.environ.get("GENVX_DEBUG"):
            raise
        say(
            f"genvx: a fault of genvx: {type(error).__name__}: {printable(str(error), 300)}; "
            "please report it with what GENVX_DEBUG=1 shows"
        )
        return GenvxError.exit_code


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
