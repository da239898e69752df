"""The entry of the command, and its one door for errors: a clear line and an exit code,
never a traceback.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from genvx.cli.console import INTERRUPTED, say
from genvx.cli.quick import quick
from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import FleetError, GenvxError, NoCapacity

if TYPE_CHECKING:
    from collections.abc import Sequence

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run genvx with the arguments of the command line, and exit."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a name is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    for stream in (sys.stdout, sys.stderr):
        _write_out(stream)
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        # Hosts that hang, in a resolver perhaps, keep their threads: Python would take its leave of
        # each of them.
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run genvx and return its exit code; whatever goes wrong is one line on stderr."""
    code: int | None = 0
    try:
        code = quick(arguments)
        if code is None:
            from genvx.cli.app import invoke

            code = invoke(arguments)
        sys.stdout.flush()
        return code
    except (NoCapacity, FleetError) as error:
        from genvx.cli.refusal import say_refusal

        say_refusal(error)
        return error.exit_code
    except GenvxError as error:
        say(f"genvx: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("")
        return INTERRUPTED
    except BrokenPipeError:
        return code or 0
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


def _open_closed_streams() -> None:
    """Give streams that are closed /dev/null: else the next file that is opened, a lease or a
    connection perhaps, would become one of them.
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


def _write_out(stream: TextIO) -> None:
    """Write what a stream still has. If it cannot, drop that, or Python would complain at exit."""
    try:
        stream.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
