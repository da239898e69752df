"""Lines for people on stderr."""

from __future__ import annotations

import sys

from genvx.core.text import printable

# The exit code of a command that Ctrl-C has ended.
INTERRUPTED = 130
_LONGEST_LINE = 4000


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
