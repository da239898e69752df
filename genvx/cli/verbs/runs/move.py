"""genvx runs move: have a run that waits start on another host."""

from __future__ import annotations

from typing import Any

from genvx.cli.ask import options
from genvx.cli.ask.runs import OneRun, located
from genvx.cli.ask.wants import ExcludeHost, OnlyHost, Tag
from genvx.cli.ask.where import here
from genvx.cli.parse.declaring import Context
from genvx.errors import InvalidInput


def move(
    context: Context,
    run: OneRun = "",
    only_host: OnlyHost = None,
    exclude_host: ExcludeHost = None,
    tag: Tag = None,
    json: options.Json = False,
) -> None:
    """Move a run that waits to another host, where it has room.

    With --only-host, --exclude-host or --tag it moves to one of those, also if it has to wait
    there. It keeps its id. One that has begun is not moved.

    Example: genvx remote runs move 1
    """
    from genvx.cli.ask.requested import selection_of
    from genvx.cli.runs.detach import beginning
    from genvx.cli.runs.following import unbroken
    from genvx.core.runs.runselect import require_waiting
    from genvx.fleet.detaching import moving

    where = here(context)
    if not where.remote:
        raise InvalidInput("a run moves among the hosts of genvx remote")
    selection = selection_of(only_host, exclude_host, tag)
    with where.remote_fleet() as fleet:
        among = [spec.name for spec in selection.of([host.spec for host in fleet.hosts])]
        source, found = located(where, fleet, run)
        require_waiting(found, where.typed)
        seen = where.look(fleet)
        hosts: Any = fleet
        with unbroken():
            host, moved = moving.move(hosts, source, found, seen, among, waits=bool(selection))
    if json:
        from genvx.cli.schema.runs import plain_act, print_acts

        print_acts("runs move", [plain_act(host.name, "moved", moved)])
    else:
        print(f"Moved run {moved.label_or_id} from {source.name} to {host.name}")
    where.note(f"it {beginning(moved)}")
