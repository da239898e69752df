"""genvx status: this environment, this host, or a line per host, as tables and as JSON."""

from __future__ import annotations

from genvx.cli.ask.where import Where
from genvx.cli.schema.devices import plain_device
from genvx.cli.schema.document import Plain
from genvx.cli.schema.environments import plain_environment
from genvx.cli.schema.hosts import answers
from genvx.cli.schema.requests import plain_position
from genvx.cli.show.output import Output
from genvx.core.line.queue import line
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet
from genvx.fleet.outcomes import Outcomes
from genvx.shown.columns import Fitting
from genvx.shown.mine import current
from genvx.shown.status import COLUMNS, FITTING, driver, rows

_FITTING = Fitting(yielding={"DRIVER": 10}, dropped=("GENVX", "ENVS", "DRIVER"), kept=("HOST",))


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask the hosts and print the answer; return the exit code."""
    # The table of many hosts does not show holders, and finding them means reading /proc there.
    holders = output.json or not where.remote
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=holders))
    if output.json:
        output.document("status", answers(fleet, outcomes, _document))
    elif where.remote:
        _table(outcomes, output)
        where.report_ends(outcomes)
    else:
        for snapshot in outcomes.succeeded.values():
            output.table(COLUMNS, rows(snapshot), fitting=FITTING)
    return where.report(outcomes)


def _document(snapshot: Snapshot) -> Plain:
    env = current(snapshot)
    return {
        "devices": [plain_device(device, snapshot) for device in snapshot.devices],
        "environments": [plain_environment(each, snapshot) for each in snapshot.environments],
        "tickets": [plain_position(position, snapshot) for position in line(snapshot)],
        "current": None if env is None else plain_environment(env, snapshot),
        "odd": list(snapshot.odd),
    }


def _table(outcomes: Outcomes[Snapshot], output: Output) -> None:
    lines = [
        [
            name,
            driver(snapshot),
            str(len(snapshot.devices)),
            str(len(snapshot.available)),
            str(len(snapshot.environments)),
            snapshot.version,
        ]
        for name, snapshot in outcomes.succeeded.items()
    ]
    output.table(
        ("HOST", "DRIVER", "DEVICES", "AVAILABLE", "ENVS", "GENVX"),
        lines,
        fitting=_FITTING,
        answered=bool(lines),
    )
