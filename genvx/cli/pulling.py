"""Copying what a run has made to this machine, with a progress line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.cli.show.sending import Sending
from genvx.core.quantities.amounts import format_size
from genvx.core.text import printable
from genvx.errors import ProjectChanged
from genvx.local.trees.landing import Landing
from genvx.shown.console import say

if TYPE_CHECKING:
    from genvx.core.wire.treeoperations import PullRun

# Files that are written all the time are fetched this often.
_TRIES = 3


def pulled(host: Any, asked: PullRun, directory: str, run: str, *, remote: bool) -> str:
    """Copy the files of a run, or of a part, into a directory; return what was done, in words.

    run: as people know it. remote: whether the host is to be named.

    Raises: as fleet.shipping.fetching.fetch.
    """
    with Sending("pulling from") as shown, Landing(directory, os.environ) as landing:

        def got(done: int, total: int) -> None:
            shown.update(host.name, done, total)

        for _ in range(_TRIES - 1):
            try:
                told, landed = host.pull(asked, landing, got)
                break
            except ProjectChanged:
                continue
        else:
            told, landed = host.pull(asked, landing, got)
    for line in told.left_out:
        say(f"genvx: not copied: {line}")
    files = landed.changed
    many = f"{files} file{'' if files == 1 else 's'}"
    came = f" ({format_size(shown.total)})" if shown.total else ""
    place = f" from {host.name}" if remote else ""
    return f"Pulled {many}{came} of run {run}{place} into {printable(directory, 300)}"
