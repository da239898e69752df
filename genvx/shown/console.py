"""Lines for people on stderr."""

from __future__ import annotations

import sys

from genvx.core.text import printable

# The exit code of a command that Ctrl-C has ended.
INTERRUPTED = 130
_LONGEST_LINE = 4000


def say(line: str) -> None:
    """Print a line for people on stderr, made printable; do nothing if stderr is gone."""
    try:
        # If stdout and stderr are one file, the line must not land in the middle of a table.
        sys.stdout.flush()
    except OSError:
        pass  # the next write to stdout reports it
    try:
        print(printable(line, _LONGEST_LINE), file=sys.stderr, flush=True)
    except OSError:
        pass


def tell(line: str) -> None:
    """Print a line of genvx's own, as `say` does."""
    say(f"genvx: {line}")
