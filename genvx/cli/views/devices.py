"""genvx devices: devices and their holders, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.show.output import Output
from genvx.cli.views.chosen import Chosen
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet
from genvx.fleet.outcomes import Outcomes
from genvx.shown.devices import COLUMNS, YIELDING, row, total_of

if TYPE_CHECKING:
    from genvx.cli.schema.document import Plain

_ALL = Chosen()


def show(
    where: Where,
    fleet: Fleet,
    output: Output,
    chosen: Chosen = _ALL,
    *,
    by_device: bool = False,
) -> int:
    """Ask the hosts and print the answer; return the exit code.

    by_device: print a row per device instead of a row per host.
    """
    # Looking for the processes that hold leases reads /proc of all processes: only for --pid.
    holders = chosen.pid is not None
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=holders))
    if output.json:
        from genvx.cli.schema.hosts import answers

        output.document("devices", answers(fleet, outcomes, lambda s: _document(chosen, s)))
    else:
        _table(where, outcomes, output, chosen, by_device=by_device)
        where.report_drivers(outcomes)
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> Plain:
    from genvx.cli.schema.devices import plain_device

    shown = chosen.devices(snapshot)
    return {"devices": [plain_device(device, snapshot) for device in shown]}


def _table(
    where: Where,
    outcomes: Outcomes[Snapshot],
    output: Output,
    chosen: Chosen,
    *,
    by_device: bool,
) -> None:
    found = outcomes.succeeded
    shown = {name: chosen.devices(snapshot) for name, snapshot in found.items()}
    total = sum(len(devices) for devices in shown.values())
    available = sum(
        device.uuid in snapshot.available_uuids
        for name, snapshot in found.items()
        for device in shown[name]
    )
    summary = total_of(total, available)
    if where.remote:
        summary += f" on {len(found)} hosts"
    if where.remote and not by_device:
        from genvx.cli.views import hostrows

        columns, yielding = hostrows.COLUMNS, hostrows.YIELDING
        rows = [hostrows.row(name, snapshot) for name, snapshot in found.items()]
    else:
        head = ("HOST",) if where.remote else ()
        columns, yielding = (*head, *COLUMNS), YIELDING
        rows = [
            [*([name] if where.remote else []), *row(device, snapshot, output.since)]
            for name, snapshot in found.items()
            for device in shown[name]
        ]
    output.table(columns, rows, summary, yielding=yielding, answered=bool(found))
