"""The environment of this shell, and what its own processes use of a device."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.core.requests.ranges import ranges

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.snapshot import Snapshot
    from genvx.core.usage import DeviceProcess


def current(snapshot: Snapshot) -> Optional[Environment]:
    """Return the environment of this shell; None if there is none.

    The variable only names it; the lease decides.
    """
    # Anybody can set the variable; an environment of another user, or one that has ended, must not
    # look like ours.
    wanted = os.environ.get("GENVX_ENVIRONMENT_ID")
    for env in snapshot.environments:
        if env.id == wanted and env.owner.uid == os.geteuid():
            return env
    return None


def has(grant: Grant) -> str:
    """Return a sentence that says which devices an environment has."""
    labels = [device.label for device in grant.devices]
    if not labels:
        return f"Environment {grant.label} has no GPU"
    return f"Environment {grant.label} has GPU{'' if len(labels) == 1 else 's'} {ranges(labels)}"


def used(own: list[DeviceProcess]) -> str:
    """Return the memory of processes, added up; "?" if the driver does not say."""
    sizes = [process.memory for process in own]
    return format_memory(None if None in sizes else sum(size for size in sizes if size))


def busy(own: list[DeviceProcess]) -> str:
    """Return how busy processes keep their device, added up; "?" if the driver does not say."""
    rates = [process.utilization for process in own]
    return format_percent(None if None in rates else sum(rate for rate in rates if rate))
