"""genvx smi: the devices and processes of an environment, as tables and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from genvx.cli.ask import own
from genvx.cli.ask.where import Where
from genvx.cli.schema.devices import plain_device
from genvx.cli.schema.document import Plain
from genvx.cli.schema.environments import plain_environment
from genvx.cli.schema.hosts import plain_host
from genvx.cli.show.output import Output
from genvx.errors import InvalidInput
from genvx.fleet.fleet import Fleet
from genvx.fleet.own import there
from genvx.local.use import processes_of
from genvx.shown import mine, smi

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess
    from genvx.fleet.sshhost import SSHHost

    Own = Mapping[str, list[DeviceProcess]]


def show(where: Where, fleet: Fleet, output: Output, environment: str | None = None) -> int:
    """Ask the host and print the answer; return the exit code.

    environment: an id or name; by default the environment of this shell.

    Raises:
        InvalidInput: none is named, and none is active here. UnknownEnvironment: there is none.
    """
    if where.remote:
        name, env, snapshot, found = _there(where, cast("Fleet[SSHHost]", fleet), environment)
    else:
        name, env, snapshot, found = _here(where, fleet, environment)
    if output.json:
        output.document("smi", [plain_host(name, snapshot) | _document(env, snapshot, found)])
        return 0
    devices, running = smi.rows(env, snapshot, found)
    output.table(smi.DEVICES, devices, fitting=smi.FITTING)
    if not output.csv:
        print()
        output.table(smi.PROCESSES, running, fitting=smi.FITTING)
    return 0


def _here(
    where: Where, fleet: Fleet, environment: str | None
) -> tuple[str, Environment, Snapshot, Own]:
    outcomes = where.ask(fleet, lambda host: host.snapshot())
    # One host, and it has answered: `Where.ask` raises the error of the local host.
    ((name, snapshot),) = outcomes.succeeded.items()
    if environment is None:
        env = mine.current(snapshot)
        if env is None:
            raise InvalidInput("no environment is active in this shell; genvx devices shows all")
    else:
        _, env = there(fleet, outcomes, environment)
    return name, env, snapshot, processes_of(env, snapshot)


def _there(
    where: Where, fleet: Fleet[SSHHost], environment: str | None
) -> tuple[str, Environment, Snapshot, Own]:
    host, env = own.on_one_host(where, fleet, environment)
    snapshot, found = host.smi(env.id)
    return host.name, env, snapshot, found


def _document(env: Environment, snapshot: Snapshot, found: Own) -> Plain:
    return {
        "environment": plain_environment(env, snapshot),
        "devices": [
            plain_device(device, snapshot)
            | {"own_pids": [process.pid for process in found.get(device.uuid, ())]}
            for device in snapshot.devices
            if device.uuid in env.devices
        ],
    }
