"""One pool of GPUs out of machines that are shared over SSH.

    with genvx.activate(gpus=2, name="train") as env:      # this machine
        env.grant.devices

    fleet = genvx.Fleet.from_hostfile("hostfile")          # many machines
    with fleet.activate(gpus=2) as env:
        env.run("python train.py", check=True)
    run = fleet.run("python train.py", gpus=2, detach=True)   # goes on without this program
    run.wait()
    with fleet.executor(gpus=1) as pool:                   # a concurrent.futures.Executor
        pool.submit(train, 1e-3).result()

`genvx.current`, `attach`, `detach` and `lock` are for what runs inside of an environment;
`genvx.aio` has all this for asyncio.

Nothing here prints, exits, or handles signals. Errors are those of `genvx.errors`. Names resolve
when they are first used, so that `import genvx` costs next to nothing.
"""

from __future__ import annotations

from typing import Any

from genvx._version import __version__

_HOMES = {
    "activate": "genvx.api.activation",
    **dict.fromkeys(
        ("active", "attach", "configure", "current", "detach", "lock"), "genvx.api.inside"
    ),
    **dict.fromkeys(("find_run", "run", "runs"), "genvx.api.runs"),
    **dict.fromkeys(
        ("Sweep", "Trial", "choice", "integers", "log", "normal", "uniform"), "genvx.api.sweeps"
    ),
    "Fleet": "genvx.api.fleet",
    "Outcomes": "genvx.fleet.outcomes",
    "Host": "genvx.fleet.host",
    "Hold": "genvx.fleet.host",
    "Running": "genvx.core.running",
    "Executor": "genvx.fleet.executing.executor",
    "Run": "genvx.fleet.detaching.run",
    "Tunnel": "genvx.fleet.tunnels.tunnel",
    "HostSpec": "genvx.fleet.hosts.hostspec",
    "LocalHost": "genvx.local.host",
    "Device": "genvx.core.device",
    "DeviceProcess": "genvx.core.usage",
    "DeviceUsage": "genvx.core.usage",
    "Driver": "genvx.core.usage",
    "Health": "genvx.core.usage",
    "Environment": "genvx.core.leases.environment",
    "Lease": "genvx.core.leases.lease",
    "Owner": "genvx.core.leases.claim",
    "Grant": "genvx.core.leases.grant",
    "Finding": "genvx.core.finding",
    "Requirements": "genvx.core.requests.requirements",
    "Snapshot": "genvx.core.snapshot",
    "State": "genvx.core.snapshot",
    "RunInfo": "genvx.core.runs.runinfo",
    "RunSpec": "genvx.core.runs.run",
    "End": "genvx.core.runs.run",
    "DebugPort": "genvx.core.runs.debugport",
    "Service": "genvx.core.runs.service",
    "Landed": "genvx.core.projects.plan",
    **dict.fromkeys(
        (
            "AgentError",
            "AuthenticationFailed",
            "CallFailed",
            "CommandNotExecutable",
            "CommandNotFound",
            "DriverError",
            "FleetError",
            "GenvxError",
            "HostError",
            "HostKeyError",
            "HostUnreachable",
            "InvalidHostfile",
            "InvalidInput",
            "InvalidQuantity",
            "InvalidRemotes",
            "NoCapacity",
            "NotOwner",
            "ProtocolError",
            "StateError",
            "UnknownDevice",
            "UnknownEnvironment",
            "UnknownHost",
            "UnknownRemote",
            "UnknownRun",
            "Unsatisfiable",
            "WaitedTooLong",
            "WorkerDied",
        ),
        "genvx.errors",
    ),
}

# Modules; dask needs distributed. ray is to be imported by its name, before Ray is.
_MODULES = ("aio", "dask", "ray")

__all__ = ["__version__", *_MODULES, *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"genvx.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'genvx' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return list(__all__)
