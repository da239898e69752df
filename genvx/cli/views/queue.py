"""Those who wait: as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.where import Where
from genvx.core.queue import line
from genvx.core.units import format_elapsed

if TYPE_CHECKING:
    from genvx.core.queue import Turn
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet

_COLUMNS = ("ID", "USER", "NAME", "REQUEST", "WAITING", "REASON")


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    if output.json:
        output.document("queue", plain.answers(fleet, outcomes, _document))
        return where.report(outcomes)
    rows = [
        [name, *_row(turn, snapshot)] if where.remote else _row(turn, snapshot)
        for name, snapshot in outcomes.succeeded.items()
        for turn in line(snapshot)
    ]
    columns = ("HOST", *_COLUMNS) if where.remote else _COLUMNS
    summary = f"Total {len(rows)} waiting"
    if where.remote:
        summary += f" on {len(outcomes.succeeded)} hosts"
    output.table(columns, rows, summary)
    return where.report(outcomes)


def _document(snapshot: Snapshot) -> plain.Plain:
    return {"tickets": [plain.turn(turn, snapshot) for turn in line(snapshot)]}


def _row(turn: Turn, snapshot: Snapshot) -> list[str]:
    ticket = turn.ticket
    return [
        ticket.environment,
        str(ticket.owner),
        ticket.name,
        str(ticket.requirements),
        format_elapsed(snapshot.age_seconds(ticket.since_ns)),
        turn.reason if turn.place == 1 or turn.offered else f"{turn.reason}, behind others",
    ]
