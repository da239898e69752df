"""genvx runs: the group of verbs, and what it shows without one."""

from __future__ import annotations

from genvx.cli.parse.declaring import Group
from genvx.cli.verbs.runs.compare import compare
from genvx.cli.verbs.runs.info import info
from genvx.cli.verbs.runs.listing import listing
from genvx.cli.verbs.runs.marks import label, tag
from genvx.cli.verbs.runs.move import move
from genvx.cli.verbs.runs.restart import restart
from genvx.cli.verbs.runs.stop import stop
from genvx.cli.verbs.runs.trash import delete, purge, restore

runs = Group("Runs: commands that go on when genvx ends (genvx run --detach).", alone=True)
runs.callback()(listing)
for each in (info, compare, stop, restart, move, label, tag, delete, restore, purge):
    runs.command()(each)
# As Guild's page on remote training writes it.
runs.command("list", hidden=True)(listing)
