"""Which of the devices that fit are taken: those that the strategy rates best, near each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placing.topology import neighbours
from genvx.core.requests.requirements import Strategy

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def index_order(device: Device) -> tuple[int, int]:
    """Return what devices are sorted by, in the order of their indices."""
    return (device.index, device.instance or 0)


def left(device: Device, snapshot: Snapshot) -> float:
    """Return the bytes of `device` that nobody holds; infinite if unknown, to be taken last."""
    if device.memory is None:
        return float("inf")
    held = snapshot.holdings.get(device.uuid)
    return device.memory - sum(size or 0 for size in held.values()) if held else device.memory


def preferred(
    requirements: Requirements, snapshot: Snapshot, fitting: list[Device]
) -> list[Device]:
    """Return the devices that the strategy rates best; of equals, the nearest to each other."""
    wanted = requirements.gpus
    if wanted == len(fitting):
        return fitting
    sign = -1 if requirements.strategy is Strategy.SPREAD else 1
    if requirements.strategy is Strategy.PACK and requirements.memory is None:
        # Whole devices fill nothing up within one host, so PACK has no preference among them.
        sign = 0
    rated = [(sign * left(device, snapshot) if sign else 0, device) for device in fitting]
    # Ties in index order: the same snapshot must give the same answer on every host and in each
    # test.
    rated.sort(key=lambda pair: (pair[0], *index_order(pair[1])))
    if wanted < 1:
        return []
    last = rated[wanted - 1][0]
    better = [device for rate, device in rated if rate < last]
    equal = [device for rate, device in rated if rate == last]
    return better + neighbours(equal, wanted - len(better), better)
