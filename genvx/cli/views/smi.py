"""The devices of this environment and what runs on them."""

from __future__ import annotations

from genvx.cli import plain
from genvx.cli.tables import Output
from genvx.cli.views.status import current
from genvx.cli.where import Where
from genvx.core.device import Device, DeviceProcess
from genvx.core.lease import Environment
from genvx.core.snapshot import Snapshot
from genvx.core.units import format_memory
from genvx.errors import InvalidInput
from genvx.fleet.fleet import Fleet
from genvx.local import processes

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


def own(env: Environment, device: Device, snapshot: Snapshot) -> list[DeviceProcess]:
    """The processes of an environment on a device: its user's, that were started in it; and those
    of which that cannot be told, where its user has nothing else there.
    """
    tenants = {key for key in snapshot.holdings.get(device.uuid, ()) if key[0] == env.owner.uid}
    found = []
    for process in snapshot.usage_of(device).processes or ():
        if process.uid == env.owner.uid:
            started_in = processes.environment_of(process.pid)
            if started_in == env.id or (started_in is None and len(tenants) == 1):
                found.append(process)
    return found


def used(own: list[DeviceProcess]) -> str:
    """The memory of processes, together; "?" where the driver does not tell."""
    sizes = [process.memory for process in own]
    return "?" if None in sizes else format_memory(sum(size for size in sizes if size))


def busy(own: list[DeviceProcess]) -> str:
    """How busy processes keep their device, together; "?" where the driver does not tell."""
    rates = [process.utilization for process in own]
    return "?" if None in rates else f"{sum(rate for rate in rates if rate)} %"


def _document(env: Environment, snapshot: Snapshot) -> plain.Plain:
    return {
        "environment": plain.environment(env, snapshot),
        "devices": [
            plain.device(device, snapshot)
            | {"own_pids": [process.pid for process in own(env, device, snapshot)]}
            for device in snapshot.devices
            if device.uuid in env.devices
        ],
    }


def _tables(env: Environment, devices: list[Device], snapshot: Snapshot, output: Output) -> None:
    rows, running = [], []
    for device in devices:
        usage = snapshot.usage_of(device)
        mine = own(env, device, snapshot)
        rows.append(
            [
                device.label,
                device.shown_name,
                format_memory(device.memory),
                "?" if usage.memory_used is None else format_memory(usage.memory_used),
                "?" if usage.utilization is None else f"{usage.utilization} %",
                "?" if usage.processes is None else used(mine),
                "?" if usage.processes is None else busy(mine),
            ]
        )
        running += [[device.label, str(p.pid), used([p]), busy([p]), p.command] for p in mine]
    output.table(_DEVICES, rows)
    if not output.csv:
        print()
        output.table(_PROCESSES, running)
