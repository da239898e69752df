"""genvx devices: devices and their holders, as tables and as JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from genvx.cli.ask.where import Where
from genvx.cli.show.output import Output
from genvx.cli.views.chosen import Chosen
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet
from genvx.fleet.outcomes import Outcomes
from genvx.shown.devices import COLUMNS, FITTING, is_long, rows, total_of

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
    compact: bool | None = None,
) -> int:
    """Ask the hosts and print the answer; return the exit code.

    by_device: print a row per device instead of a row per host. compact: one row for neighbours
    that are alike; None: where a terminal is too small for all rows.
    """
    # Looking for the processes that hold leases reads /proc of all processes: only for --pid.
    holders = chosen.pid is not None
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=holders))
    if output.json:
        from genvx.cli.schema.hosts import answers

        output.document("devices", answers(fleet, outcomes, lambda s: _document(chosen, s)))
    else:
        _table(where, outcomes, output, chosen, by_device=by_device, compact=compact)
        where.report_drivers(outcomes)
        where.report_ends(outcomes)
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
    compact: bool | None,
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

        columns, fitting = hostrows.COLUMNS, hostrows.FITTING
        table = [hostrows.row(name, snapshot) for name, snapshot in found.items()]
    else:
        head = ("HOST",) if where.remote else ()
        columns, fitting = (*head, *COLUMNS), FITTING
        if compact is None:
            compact = not output.csv and output.style is None and is_long(total, sys.stdout)
        table = [
            [*([name] if where.remote else []), *cells]
            for name, snapshot in found.items()
            for cells in rows(shown[name], snapshot, output.since, compact=compact)
        ]
    output.table(columns, table, summary, fitting=fitting, answered=bool(found))
