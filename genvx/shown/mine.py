"""The environment of the shell that asks, and what of a device its own processes use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.ranges import ranges
from genvx.core.units import format_memory, format_percent

if TYPE_CHECKING:
    from genvx.core.device import DeviceProcess
    from genvx.core.grant import Grant
    from genvx.core.lease import Environment
    from genvx.core.snapshot import Snapshot


def current(snapshot: Snapshot) -> Optional[Environment]:
    """The environment that this shell is in.

    The variable only names it: what counts is the lease.
    """
    wanted = os.environ.get("GENVX_ENVIRONMENT_ID")
    for env in snapshot.environments:
        if env.id == wanted and env.owner.uid == os.geteuid():
            return env
    return None


def has(grant: Grant) -> str:
    """What an environment has, once that has changed."""
    labels = [device.label for device in grant.devices]
    if not labels:
        return f"Environment {grant.label} has no GPU"
    return f"Environment {grant.label} has GPU{'' if len(labels) == 1 else 's'} {ranges(labels)}"


def used(own: list[DeviceProcess]) -> str:
    """The memory of processes, together; "?" where the driver does not tell."""
    sizes = [process.memory for process in own]
    return format_memory(None if None in sizes else sum(size for size in sizes if size))


def busy(own: list[DeviceProcess]) -> str:
    """How busy processes keep their device, together; "?" where the driver does not tell."""
    rates = [process.utilization for process in own]
    return format_percent(None if None in rates else sum(rate for rate in rates if rate))
