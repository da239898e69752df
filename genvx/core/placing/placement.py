"""Which devices of one host to take.

Pure: the same facts give the same answer. The order of waiting requests is not considered here, but
in queue.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.placing.refusing import refusal_of
from genvx.core.requests.obstacles import obstacle_of
from genvx.core.requests.preference import index_order, preferred
from genvx.core.value import value

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.placing.refusal import Refusal
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


@value
class Placement:
    """The devices to take, in index order."""

    devices: tuple[Device, ...]


def place(
    requirements: Requirements,
    snapshot: Snapshot,
    *,
    environment: Optional[EnvironmentKey] = None,
    shuffle: Optional[random.Random] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> Union[Placement, Refusal]:
    """Choose devices on one host.

    The strategy of the request chooses among the devices that fit; among equally good ones,
    neighbours are taken.

    environment: an environment that asks for more; devices that it holds already are not offered to
    it again. shuffle: choose at random among what fits, so that rivals without a lock do not
    collide again. kept: devices that must not be taken, by UUID, and why.
    """
    fitting = fitting_of(requirements, snapshot, environment, kept)
    if len(fitting) < requirements.gpus:
        return refusal_of(requirements, snapshot, environment, kept)
    if requirements.in_use:
        free = [device for device in fitting if not snapshot.in_use(device)]
        fitting = free if len(free) >= requirements.gpus else fitting
    if shuffle is not None:
        chosen = shuffle.sample(fitting, requirements.gpus)
    else:
        chosen = preferred(requirements, snapshot, fitting)
    return Placement(tuple(sorted(chosen, key=index_order)))


def fitting_of(
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> list[Device]:
    """Return the devices that satisfy the request."""
    # A free, idle device can only be of the wrong kind, so the other checks are skipped for it:
    # they are most of what choosing among many hosts costs.
    idle = frozenset[str]() if kept else snapshot.available_uuids
    obstacle = requirements.obstacle if requirements.narrow else None
    return [
        device
        for device in snapshot.devices
        if (
            obstacle is None or obstacle(device) is None
            if device.uuid in idle
            else obstacle_of(device, requirements, snapshot, environment, kept) is None
        )
    ]
