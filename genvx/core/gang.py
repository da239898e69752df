"""Several hosts for one job: which, in which order, and what the job sees on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placement import possible, rank
from genvx.core.record import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.placement import Refusal
    from genvx.core.request import Requirements
    from genvx.core.snapshot import Snapshot


@dataclass(frozen=True)
class Choice:
    """Hosts for a gang. ready: those with room, best first; later: those that could have it, the
    shortest line first; refusals: why the others than `ready` have no room.
    """

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
    return Choice(ready, tuple(later), refusals)


def in_order(names: Sequence[str], snapshots: Mapping[str, Snapshot]) -> tuple[str, ...]:
    """Sort hosts the same way for everybody, whatever they are called in whose hostfile.

    Who waits for one holds only such as come before it: so gangs cannot wait for each other in a
    circle.
    """

    def identity(name: str) -> tuple[str, str, str]:
        snapshot = snapshots[name]
        first = min((device.uuid for device in snapshot.devices), default="")
        return (first, snapshot.boot_id, snapshot.hostname)

    return tuple(sorted(names, key=identity))


def variables(
    rank: int, nodes: Sequence[str], gpus: int, address: str, port: int
) -> dict[str, str]:
    """What the job sees on the node of this rank, beside its devices.

    nodes: the names of all, by rank. gpus: of each. address, port: where node 0 can be reached.
    """
    each = max(1, gpus)
    shared = {
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
        "NODE_RANK": str(rank),
        "NNODES": str(len(nodes)),
        "NPROC_PER_NODE": str(each),
    }
    found = {
        **shared,
        **{f"PET_{name}": value for name, value in shared.items()},
        "WORLD_SIZE": str(len(nodes) * each),
        "GENVX_NODES": ",".join(nodes),
    }
    if each == 1:
        found.update(RANK=str(rank), LOCAL_RANK="0")
    return found
