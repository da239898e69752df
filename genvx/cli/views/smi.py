"""The devices of this environment and what runs on them."""

from __future__ import annotations

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views.mine import busy, current, own_processes, used
from genvx.cli.where import Where
from genvx.core.device import Device
from genvx.core.lease import Environment
from genvx.core.snapshot import Snapshot
from genvx.core.units import format_memory, format_percent
from genvx.errors import InvalidInput
from genvx.fleet.fleet import Fleet

_DEVICES = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "OWN USED", "OWN UTIL")
_PROCESSES = ("GPU", "PID", "USED", "UTIL", "COMMAND")


def show(where: Where, fleet: Fleet, output: Output) -> int:
    """Ask and print; return the exit code.

    Raises:
        InvalidInput: no environment is active here.
    """
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    (snapshot,) = outcomes.succeeded.values()
    env = current(snapshot)
    if env is None:
        raise InvalidInput("no environment is active in this shell; genvx devices shows all")
    if output.json:
        output.document("smi", plain.answers(fleet, outcomes, lambda s: _document(env, s)))
    else:
        devices = [device for device in snapshot.devices if device.uuid in env.devices]
        _tables(env, devices, snapshot, output)
    return where.report(outcomes)


def _document(env: Environment, snapshot: Snapshot) -> plain.Plain:
    return {
        "environment": plain.environment(env, snapshot),
        "devices": [
            plain.device(device, snapshot)
            | {"own_pids": [process.pid for process in own_processes(env, device, snapshot)]}
            for device in snapshot.devices
            if device.uuid in env.devices
        ],
    }


def _tables(env: Environment, devices: list[Device], snapshot: Snapshot, output: Output) -> None:
    rows, running = [], []
    for device in devices:
        usage = snapshot.usage_of(device)
        mine = own_processes(env, device, snapshot)
        rows.append(
            [
                device.label,
                device.shown_name,
                format_memory(device.memory),
                format_memory(usage.memory_used),
                format_percent(usage.utilization),
                "?" if usage.processes is None else used(mine),
                "?" if usage.processes is None else busy(mine),
            ]
        )
        running += [[device.label, str(p.pid), used([p]), busy([p]), p.command] for p in mine]
    output.table(_DEVICES, rows)
    if not output.csv:
        print()
        output.table(_PROCESSES, running)
