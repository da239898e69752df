"""Devices and who has them: as tables and as JSON."""

from __future__ import annotations

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views.chosen import Chosen
from genvx.cli.where import Where
from genvx.core.device import Device
from genvx.core.lease import holders
from genvx.core.snapshot import Snapshot, State
from genvx.core.units import format_memory, format_percent
from genvx.fleet.fleet import Fleet, Outcomes

_ALL = Chosen()
_COLUMNS = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "STATE", "USER", "ENV", "SINCE")


def show(
    where: Where,
    fleet: Fleet,
    output: Output,
    chosen: Chosen = _ALL,
    *,
    by_device: bool = False,
) -> int:
    """Ask and print; return the exit code."""
    holders = chosen.pid is not None
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=holders))
    if output.json:
        output.document("devices", plain.answers(fleet, outcomes, lambda s: _document(chosen, s)))
    else:
        _table(where, outcomes, output, chosen, by_device=by_device)
        where.report_drivers(outcomes)
    return where.report(outcomes)


def _document(chosen: Chosen, snapshot: Snapshot) -> plain.Plain:
    shown = chosen.devices(snapshot)
    return {"devices": [plain.device(device, snapshot) for device in shown]}


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
    summary = f"Total {total} devices with {available} available"
    if not where.remote:
        rows = [_row(d, found[name], output) for name in found for d in shown[name]]
        output.table(_COLUMNS, rows, summary)
    elif by_device:
        rows = [
            [name, *_row(device, snapshot, output)]
            for name, snapshot in found.items()
            for device in shown[name]
        ]
        output.table(("HOST", *_COLUMNS), rows, f"{summary} on {len(found)} hosts")
    else:
        rows = [
            [name, str(len(snapshot.devices)), str(len(snapshot.available))]
            for name, snapshot in found.items()
        ]
        output.table(("HOST", "TOTAL", "AVAILABLE"), rows, f"{summary} on {len(found)} hosts")


def _row(device: Device, snapshot: Snapshot, output: Output) -> list[str]:
    usage = snapshot.usage_of(device)
    held = holders(snapshot.leases, device.uuid)
    tenants = [env for env in snapshot.environments if (env.owner.uid, env.id) in held]
    users = [str(env.owner) for env in tenants]
    state = snapshot.state(device)
    if state is State.BUSY:
        users = [_foreigner(device, snapshot)]
    return [
        device.label,
        device.shown_name,
        format_memory(device.memory),
        format_memory(usage.memory_used),
        format_percent(usage.utilization),
        state.value + (", over-subscribed" if snapshot.oversubscribed(device) else ""),
        ", ".join(dict.fromkeys(users)),
        ", ".join(env.name or env.id for env in tenants),
        output.since(snapshot.age_seconds(tenants[0].since_ns)) if tenants else "",
    ]


def _foreigner(device: Device, snapshot: Snapshot) -> str:
    foreign = snapshot.foreign(device)
    if not foreign:
        return "no visible process"
    first = foreign[0]
    return f"{first.user} (pid {first.pid})"
