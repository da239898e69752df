"""genvx queue: the requests that wait, as a table and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.schema.document import Plain
from genvx.cli.schema.hosts import answers
from genvx.cli.schema.requests import plain_position
from genvx.cli.show.output import Output
from genvx.core.line.queue import line
from genvx.core.quantities.ages import format_elapsed
from genvx.core.requests.ranges import folded
from genvx.core.value import value
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.line.position import Position
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.fleet import Fleet

COLUMNS = ("ID", "USER", "NAME", "REQUEST", "WAITING", "REASON")
FITTING = Fitting(
    yielding={"NAME": 8, "HOST": 16, "USER": 8, "REASON": 12, "REQUEST": 8},
    dropped=("NAME", "WAITING"),
    kept=("ID",),
)


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask the hosts and print the answer; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    if output.json:
        output.document("queue", answers(fleet, outcomes, _document))
        return where.report(outcomes)
    requests = requests_of(outcomes.succeeded)
    rows = [
        [*([folded(place.host for place in places)] if where.remote else []), *row(places)]
        for places in requests
    ]
    columns = ("HOST", *COLUMNS) if where.remote else COLUMNS
    summary = f"Total {len(rows)} waiting"
    if where.remote:
        summary += f" on {len(outcomes.succeeded)} hosts"
    output.table(columns, rows, summary, fitting=FITTING, answered=bool(outcomes.succeeded))
    return where.report(outcomes)


def _document(snapshot: Snapshot) -> Plain:
    return {"tickets": [plain_position(position, snapshot) for position in line(snapshot)]}


@value
class Place:
    """Where a request stands in the line of one host."""

    host: str
    position: Position
    waiting: float


def requests_of(snapshots: Mapping[str, Snapshot]) -> list[list[Place]]:
    """Return the places of each request, in the order of the hosts: it may wait in many lines."""
    found: dict[tuple[str, ...], list[Place]] = {}
    for name, snapshot in snapshots.items():
        for position in line(snapshot):
            ticket = position.ticket
            # Without the uid, which may differ from host to host. The id is the same on all hosts.
            key = (ticket.environment_id, ticket.owner.name, ticket.name, str(ticket.requirements))
            place = Place(name, position, snapshot.age_seconds(ticket.since_ns))
            places = found.setdefault(key, [])
            # After the host that kept devices for it has failed, another has the request twice for
            # a while (fleet/line.py).
            if not any(each.host == name for each in places):
                places.append(place)
    return list(found.values())


def row(places: list[Place]) -> list[str]:
    """Return the row of a request, with the reason of the host where it is nearest to its turn."""
    nearest = min(places, key=lambda place: (not place.position.offered, place.position.place))
    position, ticket = nearest.position, nearest.position.ticket
    return [
        ticket.environment_id,
        str(ticket.owner),
        ticket.name,
        str(ticket.requirements),
        format_elapsed(max(place.waiting for place in places)),
        position.reason
        if position.place == 1 or position.offered
        else f"{position.reason}, behind others",
    ]
