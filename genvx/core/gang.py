"""Several hosts for one job: which hosts, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placing.ranking import rank
from genvx.core.placing.refusing import possible
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.placing.refusal import Refusal
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


@value
class Choice:
    """Hosts for a gang.

    requirements: of each node. ready: the hosts with room, best first. later: the hosts that could
    have room, shortest line first. refusals: why each host that is not in `ready` has no room.
    """

    requirements: Requirements
    ready: tuple[str, ...]
    later: tuple[str, ...]
    refusals: Mapping[str, Refusal]


def choose(requirements: Requirements, snapshots: Mapping[str, Snapshot]) -> Choice:
    """Sort hosts by how soon they could have devices for one node of a gang."""
    ready, refusals = rank(requirements, snapshots)
    later = [
        name for name in refusals if possible(requirements, snapshots[name]) >= requirements.gpus
    ]
    later.sort(key=lambda name: len(snapshots[name].tickets))
    return Choice(requirements, ready, tuple(later), refusals)


def in_order(names: Sequence[str], snapshots: Mapping[str, Snapshot]) -> tuple[str, ...]:
    """Sort hosts the same way for every user, whatever their hostfiles call them.

    A gang that waits for a host holds only hosts that come before it in this order. So gangs cannot
    wait for each other in a circle.
    """

    def identity(name: str) -> tuple[str, str, str]:
        snapshot = snapshots[name]
        # UUIDs and boot ids are the same for every user; names of hosts are not.
        first = min((device.uuid for device in snapshot.devices), default="")
        return (first, snapshot.boot_id, snapshot.hostname)

    return tuple(sorted(names, key=identity))
