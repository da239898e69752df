"""This shell's environment, or this machine, as a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_age, format_duration
from genvx.core.requests.ranges import ranges
from genvx.shown import holding
from genvx.shown.columns import Fitting
from genvx.shown.ending import ending
from genvx.shown.mine import current
from genvx.shown.usage import usage_rows

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.snapshot import Snapshot

COLUMNS = ("WHAT", "STATUS")
FITTING = Fitting(kept=("WHAT",), wrapping=("STATUS",))


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
        *(["ends", text] for text in (ending(snapshot),) if text),
    ]
    if env is not None:
        found = [
            ["environment", env.label],
            ["user", str(env.owner)],
            ["since", format_age(snapshot.age_seconds(env.since_ns))],
            *holding.rows(env, snapshot),
            ["devices", _devices(env, snapshot)],
            *_strays(env, snapshot),
            *usage_rows(env, snapshot),
        ]
        if env.expires_ns is not None:
            left = (env.expires_ns - snapshot.boottime_ns) / 1e9
            found.append(["ends", f"in {format_duration(left)}" if left > 0 else "now"])
    elif os.environ.get("GENVX_ENVIRONMENT_ID"):
        found.append(["environment", f"{os.environ['GENVX_ENVIRONMENT_ID']}: not active any more"])
    return found


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


def _devices(env: Environment, snapshot: Snapshot) -> str:
    """The devices by index, grouped by model; a missing device by its UUID."""
    alike: dict[str, list[str]] = {}
    for uuid in env.devices:
        device = snapshot.device(uuid)
        name, label = (device.shown_name, device.label) if device else ("not here", uuid)
        alike.setdefault(name, []).append(label)
    return ", ".join(f"{ranges(labels)}: {name}" for name, labels in alike.items()) or "none"
