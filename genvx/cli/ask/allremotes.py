"""--all-remotes: a verb on the hosts of all remotes at once."""

from __future__ import annotations

import os
from typing import Annotated

from genvx.cli.ask.where import Where
from genvx.cli.parse.declaring import Option
from genvx.core.value import replace
from genvx.errors import FleetError, GenvxError, InvalidInput, NotRunning, UnknownRemote, kind_of
from genvx.shown.console import say

AllRemotes = Annotated[
    bool, Option("--all-remotes", help="Of all remotes (genvx remotes), in one table.")
]


def everywhere(where: Where) -> tuple[Where, int]:
    """Return the hosts and shelves of all remotes, and the exit code for remotes whose hosts are
    not known.

    Raises:
        InvalidInput: hosts are named, too. UnknownRemote: no remote has hosts.
    """
    from genvx.fleet.remotes.pool import pooled
    from genvx.fleet.remotes.reading import load

    if any((where.hosts, where.hostfile, where.named)):
        raise InvalidInput("give either --all-remotes or --remote, -H and --hostfile")
    known = load(os.environ, lambda line: say(f"genvx: {line}")).remotes.values()
    code = 0

    def failed(name: str, error: GenvxError) -> None:
        nonlocal code
        # It is off on purpose.
        if isinstance(error, NotRunning):
            where.note(str(error))
            return
        code = FleetError.exit_code
        if not where.quiet:
            say(f"{name}: {kind_of(error)}: {error}")

    specs = pooled(known, failed)
    shelves = tuple(each.name for each in known if each.is_shelf)
    if not specs and not shelves:
        raise UnknownRemote("no remote has hosts that could be asked; genvx remotes lists them")
    return replace(where, remote=True, specs=specs, shelves=shelves), code
