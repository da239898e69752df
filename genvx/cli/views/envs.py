"""genvx envs: environments, as tables and as JSON."""

from __future__ import annotations

from genvx.cli.ask.where import Where
from genvx.cli.show import schema
from genvx.cli.show.output import Output
from genvx.cli.views.chosen import Chosen
from genvx.core.ranges import ranges
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet
from genvx.shown.envs import COLUMNS, YIELDING, notes_on, row, total_of

_ALL = Chosen()


def show(where: Where, fleet: Fleet, output: Output, chosen: Chosen = _ALL) -> int:
    """Ask the hosts and print the answer; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=True))
    if output.json:
        output.document("envs", schema.answers(fleet, outcomes, lambda s: _document(chosen, s)))
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
    output.table(columns, rows, summary, yielding=YIELDING, answered=bool(found))
    for note in notes_on((each, chosen.environments(each)) for each in found.values()):
        where.note(note)
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> schema.Plain:
    shown = chosen.environments(snapshot)
    return {"environments": [schema.environment(env, snapshot) for env in shown]}
