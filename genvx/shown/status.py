"""This shell's environment, or this machine, as a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.ages import format_age, format_duration
from genvx.core.amounts import format_memory, format_percent
from genvx.core.holdings import holders
from genvx.core.ranges import ranges
from genvx.local.use import own_processes
from genvx.shown import holding
from genvx.shown.mine import busy, current, used

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.environment import Environment
    from genvx.core.snapshot import Snapshot

COLUMNS = ("WHAT", "STATUS")
WRAPPING = ("STATUS",)


def driver(snapshot: Snapshot) -> str:
    """Return the version of a machine's driver, or what is wrong with it."""
    return snapshot.driver.error or snapshot.driver.version or "of unknown version"


def rows(snapshot: Snapshot) -> list[list[str]]:
    """Return the rows about this shell's environment; without one, about this machine."""
    env = current(snapshot)
    found = [
        ["host", snapshot.hostname],
        ["driver", driver(snapshot)],
        ["devices", f"{len(snapshot.devices)}, {len(snapshot.available)} available"],
        ["environments", str(len(snapshot.environments))],
        *(["", line] for line in holding.outliving(snapshot)),
    ]
    if env is not None:
        found = [
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
            found.append(["ends", f"in {format_duration(left)}" if left > 0 else "now"])
    elif os.environ.get("GENVX_ENVIRONMENT_ID"):
        found.append(["environment", f"{os.environ['GENVX_ENVIRONMENT_ID']}: not active any more"])
    return found


def _usage(env: Environment, snapshot: Snapshot) -> list[list[str]]:
    """A row for each device: what the environment's processes use of it, and who shares it."""
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
    """A row if CUDA_VISIBLE_DEVICES names devices that the environment does not hold."""
    # A program that uses other devices than the environment's uses somebody else's, or fails there.
    # A start-up file or an `export` in the shell does this without being noticed.
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
    """The devices by index, grouped by model; a missing device by its UUID."""
    alike: dict[str, list[str]] = {}
    for uuid in env.devices:
        device = snapshot.device(uuid)
        name, label = (device.shown_name, device.label) if device else ("not here", uuid)
        alike.setdefault(name, []).append(label)
    return ", ".join(f"{ranges(labels)}: {name}" for name, labels in alike.items()) or "none"
