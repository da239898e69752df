"""The entry of the command, and its one door for errors: a clear line and an exit code,
never a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from genvx.cli.quick import quick
from genvx.core.text import printable
from genvx.errors import FleetError, GenvxError, NoCapacity

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
_LONGEST_LINE = 4000


def main(arguments: Sequence[str] | None = None) -> None:
    """Run genvx with the arguments of the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a name is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    code = run(list(sys.argv[1:] if arguments is None else arguments))
    try:
        sys.stdout.flush()
    except OSError:
        _drop_stdout()
    if "threading" in sys.modules and sys.modules["threading"].active_count() > 1:
        # Hosts that hang, in a resolver perhaps, keep their threads: Python would take its leave of
        # each of them.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run genvx and return its exit code; whatever goes wrong is one line on stderr."""
    try:
        code = quick(arguments)
        if code is not None:
            return code
        from genvx.cli.app import invoke

        return invoke(arguments)
    except (NoCapacity, FleetError) as error:
        say(str(error) if error.reasons else f"genvx: {error}")
        for host, reason in error.reasons.items():
            say(f"  {host}: {reason}")
        return error.exit_code
    except GenvxError as error:
        say(f"genvx: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        say("")
        return INTERRUPTED
    except BrokenPipeError:
        _drop_stdout()
        return 0
    except OSError as error:
        where = f" ({printable(str(error.filename))})" if error.filename else ""
        say(f"genvx: {error.strerror or error}{where}")
        return GenvxError.exit_code
    except Exception as error:
        if os.environ.get("GENVX_DEBUG"):
            raise
        say(
            f"genvx: a fault of genvx: {type(error).__name__}: {printable(str(error), 300)}; "
            "please report it with what GENVX_DEBUG=1 shows"
        )
        return GenvxError.exit_code


def say(line: str) -> None:
    """Whatever it is, as a line for people on stderr; that this is gone is no reason to fail."""
    try:
        # Where both go to one file, the line must not land in the middle of a table.
        sys.stdout.flush()
    except OSError:
        pass  # whoever writes to it next is told
    try:
        print(printable(line, _LONGEST_LINE), file=sys.stderr, flush=True)
    except OSError:
        pass


def _drop_stdout() -> None:
    """Nobody reads stdout any more: keep Python from complaining about it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
