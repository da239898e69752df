"""The door of a command: its streams, and whatever goes wrong as a clear line and an exit code,
never a traceback.
"""

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
    """Do what a command does and return its exit code; whatever goes wrong is one line on
    stderr.
    """
    try:
        return act()
    except GenvxError as error:
        say(f"genvx: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("")
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:
        what = f"{error.strerror or error}"
        if error.filename is not None:
            what += f" ({printable(str(error.filename))})"
        elif error.errno in _FULL:
            # Writing files of ours fails as a StateError: without a name it is a stream.
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
    """Make streams ready: those that are closed are /dev/null, for the next file that is opened, a
    lease or a connection perhaps, would become one of them. What a terminal cannot show is escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # the lowest that is free is this one
                os.set_inheritable(number, True)
            stream = os.fdopen(number, "w" if number else "r", closefd=False)
            setattr(sys, name, stream)
    for shown in (sys.stdout, sys.stderr):
        if isinstance(shown, io.TextIOWrapper):
            # A terminal that cannot show a name is no reason to fail.
            shown.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what stdout still has, while errors can be said; that nobody reads it is none."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass


def write_out() -> None:
    """Write what the streams still have, before the process ends."""
    for stream in (sys.stdout, sys.stderr):
        _write_out(stream)


def _write_out(stream: TextIO) -> None:
    """Write what a stream still has. If it cannot, drop that, or Python would complain at exit."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
