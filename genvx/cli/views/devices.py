"""Devices and who has them: as tables and as JSON."""

from __future__ import annotations

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.where import Where
from genvx.core.device import Device
from genvx.core.lease import holders
from genvx.core.snapshot import Snapshot, State
from genvx.core.units import format_age, format_memory
from genvx.fleet.fleet import Fleet, Outcomes

_COLUMNS = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "STATE", "USER", "ENV", "SINCE")


def show(where: Where, fleet: Fleet, output: Output, *, by_device: bool = False) -> int:
    """Ask and print; return the exit code."""
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    if output.json:
        output.document("devices", plain.answers(fleet, outcomes, _document))
    else:
        _table(where, outcomes, output, by_device=by_device)
        where.report_drivers(outcomes)
    return where.report(outcomes)


def _document(snapshot: Snapshot) -> plain.Plain:
    return {"devices": [plain.device(device, snapshot) for device in snapshot.devices]}


def _table(where: Where, outcomes: Outcomes[Snapshot], output: Output, *, by_device: bool) -> None:
    found = outcomes.succeeded
    total = sum(len(snapshot.devices) for snapshot in found.values())
    available = sum(len(snapshot.available) for snapshot in found.values())
    summary = f"Total {total} devices with {available} available"
    if not where.remote:
        rows = [_row(d, snapshot) for snapshot in found.values() for d in snapshot.devices]
        output.table(_COLUMNS, rows, summary)
    elif by_device:
        rows = [
            [name, *_row(device, snapshot)]
            for name, snapshot in found.items()
            for device in snapshot.devices
        ]
        output.table(("HOST", *_COLUMNS), rows, f"{summary} on {len(found)} hosts")
    else:
        rows = [
            [name, str(len(snapshot.devices)), str(len(snapshot.available))]
            for name, snapshot in found.items()
        ]
        output.table(("HOST", "TOTAL", "AVAILABLE"), rows, f"{summary} on {len(found)} hosts")


def _row(device: Device, snapshot: Snapshot) -> list[str]:
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
        "?" if usage.memory_used is None else format_memory(usage.memory_used),
        "?" if usage.utilization is None else f"{usage.utilization} %",
        state.value,
        ", ".join(dict.fromkeys(users)),
        ", ".join(env.name or env.id for env in tenants),
        format_age(snapshot.age_seconds(tenants[0].since_ns)) if tenants else "",
    ]


def _foreigner(device: Device, snapshot: Snapshot) -> str:
    foreign = snapshot.foreign(device)
    if not foreign:
        return "not visible from here"
    first = foreign[0]
    return f"{first.user} (pid {first.pid})"
