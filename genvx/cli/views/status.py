"""This environment, this host, or each host in a line: as tables and as JSON."""

from __future__ import annotations

import os

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views import holding
from genvx.cli.views.mine import busy, current, own_processes, used
from genvx.cli.where import Where
from genvx.core.device import Device
from genvx.core.lease import Environment, holders
from genvx.core.queue import line
from genvx.core.snapshot import Snapshot
from genvx.core.units import format_age, format_duration, format_memory, format_percent
from genvx.fleet.fleet import Fleet, Outcomes


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask and print; return the exit code."""
    holders = output.json or not where.remote
    outcomes = where.ask(fleet, lambda host: host.snapshot(holders=holders))
    if output.json:
        output.document("status", plain.answers(fleet, outcomes, _document))
    elif where.remote:
        _table(outcomes, output)
    else:
        for snapshot in outcomes.succeeded.values():
            _lines(snapshot, output)
    return where.report(outcomes)


def _document(snapshot: Snapshot) -> plain.Plain:
    env = current(snapshot)
    return {
        "devices": [plain.device(device, snapshot) for device in snapshot.devices],
        "environments": [plain.environment(each, snapshot) for each in snapshot.environments],
        "tickets": [plain.turn(turn, snapshot) for turn in line(snapshot)],
        "current": None if env is None else plain.environment(env, snapshot),
        "odd": list(snapshot.odd),
    }


def _table(outcomes: Outcomes[Snapshot], output: Output) -> None:
    rows = [
        [
            name,
            _driver(snapshot),
            str(len(snapshot.devices)),
            str(len(snapshot.available)),
            str(len(snapshot.environments)),
            snapshot.version,
        ]
        for name, snapshot in outcomes.succeeded.items()
    ]
    output.table(("HOST", "DRIVER", "DEVICES", "AVAILABLE", "ENVS", "GENVX"), rows)


def _driver(snapshot: Snapshot) -> str:
    return snapshot.driver.error or snapshot.driver.version or "of unknown version"


def _lines(snapshot: Snapshot, output: Output) -> None:
    env = current(snapshot)
    rows = [
        ["host", snapshot.hostname],
        ["driver", _driver(snapshot)],
        ["devices", f"{len(snapshot.devices)}, {len(snapshot.available)} available"],
        ["environments", str(len(snapshot.environments))],
    ]
    if env is not None:
        rows = [
            ["environment", env.label],
            ["user", str(env.owner)],
            ["since", format_age(snapshot.age_seconds(env.since_ns))],
            *holding.rows(env, snapshot),
            ["devices", _devices(env, snapshot)],
            *_strays(env, snapshot),
            *_usage(env, snapshot),
        ]
        if env.expires_ns is not None:
            left = (env.expires_ns - snapshot.boottime_ns) / 1e9
            rows.append(["ends", f"in {format_duration(left)}" if left > 0 else "now"])
    elif os.environ.get("GENVX_ENVIRONMENT_ID"):
        rows.append(["environment", f"{os.environ['GENVX_ENVIRONMENT_ID']}: not active any more"])
    output.table(("WHAT", "STATUS"), rows)


def _usage(env: Environment, snapshot: Snapshot) -> list[list[str]]:
    """A row for each device: what its own processes use of it, and who else has it."""
    rows = []
    for device in snapshot.devices:
        if device.uuid not in env.devices:
            continue
        usage = snapshot.usage_of(device)
        others = [
            f"{other.owner} {other.label}"
            for other in snapshot.environments
            if device.uuid in other.devices and other is not env
        ]
        shared = f"; shared with {', '.join(others)}" if others else ""
        share = holders(snapshot.leases, device.uuid).get((env.owner.uid, env.id))
        part = "" if share is None else f"{format_memory(share)} of "
        own = "cannot be seen" if usage.processes is None else _own(env, device, snapshot)
        size, rate = format_memory(device.memory), format_percent(usage.utilization)
        text = f"{part}{size}, {rate} busy; its own: {own}{shared}"
        rows.append([f"GPU {device.label}", text])
    return rows


def _strays(env: Environment, snapshot: Snapshot) -> list[list[str]]:
    """A row if this shell's CUDA_VISIBLE_DEVICES names devices that are not the environment's."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    known = [snapshot.device(uuid) for uuid in env.devices]
    own = {"", *env.devices, *(device.label for device in known if device is not None)}
    if visible is not None and {word.strip() for word in visible.split(",")} <= own:
        return []
    found = "not set" if visible is None else visible
    text = f"CUDA_VISIBLE_DEVICES is {found} in this shell: not what the environment holds"
    return [["beware", text]]


def _own(env: Environment, device: Device, snapshot: Snapshot) -> str:
    own = own_processes(env, device, snapshot)
    if not own:
        return "no process"
    count = f"{len(own)} process{'' if len(own) == 1 else 'es'}"
    return f"{count}, {used(own)}, {busy(own)} busy"


def _devices(env: Environment, snapshot: Snapshot) -> str:
    shown = []
    for uuid in env.devices:
        device = snapshot.device(uuid)
        shown.append(f"{device.label}: {device.shown_name}" if device else f"{uuid}: not here")
    return ", ".join(shown) or "none"
