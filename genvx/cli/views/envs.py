"""genvx envs: environments, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.show.output import Output
from genvx.cli.views.chosen import Chosen
from genvx.core.requests.ranges import ranges
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet
from genvx.shown.envs import COLUMNS, FITTING, notes_on, row, total_of

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain

_ALL = Chosen()


def show(where: Where, fleet: Fleet, output: Output, chosen: Chosen = _ALL) -> int:
    """Ask the hosts and print the answer; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=True))
    if output.json:
        from genvx.cli.schema.hosts import answers

        output.document("envs", answers(fleet, outcomes, lambda s: _document(chosen, s)))
        return where.report(outcomes)
    found = outcomes.succeeded
    total = sum(len(chosen.environments(snapshot)) for snapshot in found.values())
    listed = ", ".join if output.csv else ranges
    rows = [
        [*([name] if where.remote else []), *row(env, snapshot, output.since, listed)]
        for name, snapshot in found.items()
        for env in chosen.environments(snapshot)
    ]
    columns = ("HOST", *COLUMNS) if where.remote else COLUMNS
    summary = total_of(total)
    if where.remote:
        summary += f" on {len(found)} hosts"
    output.table(columns, rows, summary, fitting=FITTING, answered=bool(found))
    for note in notes_on((each, chosen.environments(each)) for each in found.values()):
        where.note(note)
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> Plain:
    from genvx.cli.schema.environments import plain_environment

    shown = chosen.environments(snapshot)
    return {"environments": [plain_environment(env, snapshot) for env in shown]}
