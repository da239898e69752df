"""The entry point of the command."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

from genvx.cli.quick import quick
from genvx.errors import FleetError, GenvxError, NoCapacity
from genvx.shown import door, streams

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run genvx with the arguments of the command line, and exit."""
    # By default, Python looks for garbage at each 700th new object: twenty times while a short
    # command loads its modules, which takes a tenth of its time and finds nothing. Among all
    # objects it still looks as often as by default.
    gc.set_threshold(10_000, 2, 2)
    streams.open_streams()
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    streams.write_out()
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        # Threads of hosts that hang, in a resolver perhaps, still run. Python's normal exit may
        # wait for them; all output is written, so nothing is lost by leaving at once.
        os._exit(code)
    # Python looks for garbage among all objects a last time, which takes a fifth of the time of a
    # short command. What is frozen it leaves out: that is only memory, which ends with us.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run genvx and return its exit code; any error is printed as one line on stderr."""
    return door.answered(lambda: _act(arguments))


def _act(arguments: list[str]) -> int:
    try:
        code = quick(arguments)
        if code is None:
            from genvx.cli.app import invoke

            code = invoke(arguments)
        # Flushed here, where an error becomes a message and an exit code. Python's own flush at
        # exit would print a traceback for a full disk.
        streams.flush()
        return code
    except ModuleNotFoundError as error:
        from genvx.cli.lacking import lacking

        line = lacking(error)
        if line is None:
            raise
        raise GenvxError(line) from None
    except (NoCapacity, FleetError) as error:
        from genvx.cli.show.refusal import say_refusal

        say_refusal(error)
        return error.exit_code
