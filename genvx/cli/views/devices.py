"""genvx devices: devices and their holders, as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from genvx.cli.ask.where import Where
from genvx.cli.show import schema
from genvx.cli.show.tables import Output
from genvx.cli.views.chosen import Chosen
from genvx.core.amounts import format_memory
from genvx.core.claim import Owner
from genvx.core.snapshot import Snapshot
from genvx.fleet.fleet import Fleet, Outcomes
from genvx.shown.devices import COLUMNS, YIELDING, row, total_of

_ALL = Chosen()
_HOSTS = ("HOST", "TOTAL", "AVAILABLE", "MODEL", "MEMORY", "USERS")
_HOSTS_YIELDING = {"MODEL": 10, "MEMORY": 8, "USERS": 10}


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
        output.document("devices", schema.answers(fleet, outcomes, lambda s: _document(chosen, s)))
    else:
        _table(where, outcomes, output, chosen, by_device=by_device)
        where.report_drivers(outcomes)
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> schema.Plain:
    shown = chosen.devices(snapshot)
    return {"devices": [schema.device(device, snapshot) for device in shown]}


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
        columns, yielding = _HOSTS, _HOSTS_YIELDING
        rows = [_host_row(name, snapshot) for name, snapshot in found.items()]
    else:
        head = ("HOST",) if where.remote else ()
        columns, yielding = (*head, *COLUMNS), YIELDING
        rows = [
            [*([name] if where.remote else []), *row(device, snapshot, output.since)]
            for name, snapshot in found.items()
            for device in shown[name]
        ]
    output.table(columns, rows, summary, yielding=yielding, answered=bool(found))


def _host_row(name: str, snapshot: Snapshot) -> list[str]:
    devices = snapshot.devices
    return [
        name,
        str(len(devices)),
        str(len(snapshot.available)),
        _counted([device.shown_name for device in devices]),
        _counted([format_memory(device.memory) for device in devices]),
        ", ".join(_users(snapshot)),
    ]


def _counted(kinds: list[str]) -> str:
    """Return the kind of all devices of a host, or counts such as "4 A100, 2 H100"."""
    counts = Counter(kinds)
    if len(counts) == 1:
        return kinds[0]
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _users(snapshot: Snapshot) -> Iterable[str]:
    """Return the users of devices of a host, also those without a lease."""
    holders = [str(env.owner) for env in snapshot.environments if env.devices]
    others = [
        process.user if process.uid is None else str(Owner(process.uid, process.user))
        for device in snapshot.devices
        for process in snapshot.foreign(device)
    ]
    return dict.fromkeys(holders + others)
