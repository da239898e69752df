"""Asking a person before files are deleted that the other side does not have."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.core.projects.manifest import shown_name
from genvx.errors import InvalidInput
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_SHOWN = 20


def confirm(names: Sequence[bytes], place: str, *, yes: bool) -> None:
    """Ask whether files in a place are to be deleted. names: as clearing.extra gives them.

    Raises:
        InvalidInput: nobody is there to ask, or the answer is no.
    """
    if yes or not names:
        return
    many = f"{len(names)} file{'' if len(names) == 1 else 's'} in {place}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        first = ", ".join(map(shown_name, names[:3])) + (", ..." if len(names) > 3 else "")
        raise InvalidInput(
            f"--delete would delete {many}: {first}; --yes deletes them, --dry-run lists them"
        )
    say(f"genvx: --delete deletes {many}:")
    for name in names[:_MOST_SHOWN]:
        say(f"  {shown_name(name)}")
    if len(names) > _MOST_SHOWN:
        say(f"  and {len(names) - _MOST_SHOWN} more; --dry-run lists all")
    sys.stderr.write("Delete them? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("nothing was deleted or copied")
