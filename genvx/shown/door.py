"""The frame of a command: every failure becomes one clear line and an exit code."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable

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
