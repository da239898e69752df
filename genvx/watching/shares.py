"""How much of a device is an environment's, and how busy that environment keeps it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from genvx.core.requests.models import is_profile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.snapshot import Snapshot

# Compute slices of a GPU that MIG divides; of an A30 there are fewer.
_SLICES, _A30_SLICES = 7, 4


@functools.lru_cache(maxsize=1024)
def weight_of(name: str, *, instance: bool) -> float:
    """The part of a GPU that a device is: 1, or for a MIG instance its share of the slices."""
    if not instance:
        return 1.0
    profile = next((word for word in name.lower().split() if is_profile(word)), None)
    if profile is None:
        return 1.0
    return min(1.0, int(profile[0]) / (_A30_SLICES if "A30" in name.split() else _SLICES))


def busy_percent(
    snapshot: Snapshot,
    device: Device,
    key: EnvironmentKey,
    held: Mapping[EnvironmentKey, int | None],
) -> int | None:
    """How busy an environment keeps a device, in percent of the whole device; None is unknown.

    held: who holds the device. Whoever is alone on it is all that it does. Where several share
    it, the processes of the owner count, or else its part of the memory that they hold.
    """
    usage = snapshot.usage.get(device.uuid)
    if usage is None or usage.utilization is None:
        return None
    if len(held) == 1:
        return min(100, usage.utilization)
    own = [p.utilization for p in usage.processes or () if p.uid == key[0]]
    told = [percent for percent in own if percent is not None]
    if usage.processes is not None and len(told) == len(own):
        # A pid does not say in which of their environments it was started: they share the sum.
        return min(100, sum(told) // sum(uid == key[0] for uid, _ in held))
    sizes = {each: device.memory or 1 if size is None else size for each, size in held.items()}
    return min(100, usage.utilization * sizes[key] // max(1, sum(sizes.values())))
