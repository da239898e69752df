"""genvx runs: the group of verbs, and what it shows without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.parse.groups import group
from genvx.cli.verbs.runs.compare import compare
from genvx.cli.verbs.runs.info import info
from genvx.cli.verbs.runs.listing import listing
from genvx.cli.verbs.runs.marks import label, tag
from genvx.cli.verbs.runs.move import move
from genvx.cli.verbs.runs.restart import restart
from genvx.cli.verbs.runs.stop import stop
from genvx.cli.verbs.runs.trash import delete, purge, restore

if TYPE_CHECKING:
    import typer

    from genvx.cli.parse.commands import Group, Verb

_VERBS = (info, compare, stop, restart, move, label, tag, delete, restore, purge)


def runs(kind: type[Group], verb: type[Verb]) -> typer.Typer:
    """The group of verbs, of these classes."""
    made = group(
        "Runs: commands that go on when genvx ends (genvx run --detach).",
        kind,
        invoke_without_command=True,
    )
    made.callback()(listing)
    for each in _VERBS:
        made.command(cls=verb)(each)
    # As Guild's page on remote training writes it.
    made.command("list", cls=verb, hidden=True)(listing)
    return made
