"""Which devices of a host are near each other, from what NVML reports about the links between them.

A link is one letter, after `nvidia-smi topo -m`: V NVLink, I one PCIe switch, B several switches, H
one host bridge, N one NUMA node, S between NUMA nodes; ? is unknown.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.device import Device

# The distance for each letter, to be summed over pairs. S is far above the others: one link between
# NUMA nodes is worse than several within one.
_FAR = {"V": 0, "I": 1, "B": 2, "H": 4, "N": 8, "?": 16, "S": 64}
WAYS = "".join(_FAR)

# There are 70 ways to take four of eight devices, and 12,870 to take eight of sixteen. Beyond this
# many, only the sets that grow around each device are compared: a good set is enough, and a
# placement must stay fast.
_MOST_SETS = 2_000


def distance(one: Device, other: Device) -> int:
    """Return how far two devices are apart; 0 for instances of one GPU."""
    if one.index == other.index:
        return 0
    way = one.topology[other.index : other.index + 1] or "?"
    return _FAR.get(way, _FAR["?"])


def neighbours(devices: Sequence[Device], count: int, company: Sequence[Device]) -> list[Device]:
    """Choose `count` devices that are as near as possible to each other and to the `company`.

    Among equally near sets, the one that leaves the others nearest to each other; then the first.
    """
    if count >= len(devices):
        return list(devices)
    if count <= 0:
        return []
    if not any(device.topology for device in devices):
        return list(devices[:count])
    if count == 1 and not company:
        # A single device is near itself anyway. Take the one that is farthest from the others, so
        # that what remains is well connected.
        return [max(devices, key=lambda device: sum(distance(device, other) for other in devices))]
    sets: list[tuple[Device, ...]] = _sets(devices, count)
    best = min(sets, key=lambda some: _cost(some, devices, company))
    return list(best)


def _sets(devices: Sequence[Device], count: int) -> list[tuple[Device, ...]]:
    if math.comb(len(devices), count) <= _MOST_SETS:
        return list(itertools.combinations(devices, count))
    return [_around(first, devices, count) for first in devices]


def _around(first: Device, devices: Sequence[Device], count: int) -> tuple[Device, ...]:
    chosen = [first]
    rest = [device for device in devices if device is not first]
    while len(chosen) < count:
        nearest = min(rest, key=lambda device: sum(distance(device, other) for other in chosen))
        chosen.append(nearest)
        rest.remove(nearest)
    return tuple(chosen)


def _cost(
    some: Sequence[Device], devices: Sequence[Device], company: Sequence[Device]
) -> tuple[int, int]:
    names = {device.uuid for device in some}
    rest = [device for device in devices if device.uuid not in names]
    together = _sum([*some, *company])
    return together, _sum(rest)


def _sum(devices: Sequence[Device]) -> int:
    return sum(distance(one, other) for one, other in itertools.combinations(devices, 2))
