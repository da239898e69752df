"""Several hosts for one job: which hosts, in which order, and the variables of the job on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.placement import possible
from genvx.core.ranking import rank
from genvx.core.requirements import is_model_text
from genvx.core.value import replace, value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.placement import Refusal
    from genvx.core.requirements import Requirements
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


def choose_one_model(mixed: Choice, snapshots: Mapping[str, Snapshot], nodes: int) -> Choice:
    """Narrow a choice to one model of GPU: with mixed models the slowest GPU would hold up the
    others.

    Chosen is the model for which a gang of `nodes` nodes can start first. If several models have
    room on enough hosts, the one of the best hosts; otherwise one that enough hosts could ever
    have, and then the one with the most hosts.
    """
    wanted = mixed.requirements
    models = sorted(
        {
            device.name
            for snapshot in snapshots.values()
            for device in snapshot.devices
            if wanted.gpus and wanted.mismatch(device) is None
        }
    )
    if len(models) < 2:
        return mixed
    order = {name: place for place, name in enumerate(mixed.ready)}

    def merit(choice: Choice) -> tuple[bool, bool, int, int, int]:
        now, ever = len(choice.ready), len(choice.ready) + len(choice.later)
        places = sum(order.get(name, len(order)) for name in choice.ready[:nodes])
        return (now >= nodes, ever >= nodes, -places if now >= nodes else 0, now, ever)

    choices = [_of_model(wanted, model, snapshots) for model in models if is_model_text(model)]
    return max(choices, key=merit, default=mixed)


def _of_model(wanted: Requirements, model: str, snapshots: Mapping[str, Snapshot]) -> Choice:
    choice = choose(replace(wanted, models=(model,)), snapshots)
    # A request for "RTX 4090" also fits an "RTX 4090 D". What would be granted on a host that has
    # another fitting model is unknown, so such a host is left out.
    sure = {
        host
        for host, snapshot in snapshots.items()
        if all(
            device.name == model
            for device in snapshot.devices
            if choice.requirements.mismatch(device) is None
        )
    }
    return replace(
        choice,
        ready=tuple(host for host in choice.ready if host in sure),
        later=tuple(host for host in choice.later if host in sure),
    )


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


def variables(
    rank: int, nodes: Sequence[str], gpus: int, address: str, port: int
) -> dict[str, str]:
    """Return the job's environment variables on the node of this rank, beside those for its
    devices.

    nodes: the names of all nodes, by rank. gpus: devices of each node. address, port: where node 0
    can be reached.
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
        # torchrun reads its options from variables that begin with PET_.
        **{f"PET_{name}": value for name, value in shared.items()},
        "WORLD_SIZE": str(len(nodes) * each),
        "GENVX_NODES": ",".join(nodes),
    }
    if each == 1:
        # With one process for each node its rank is known here. With more, their launcher
        # (torchrun) numbers the processes; RANK from us would then be wrong for all but one.
        found.update(RANK=str(rank), LOCAL_RANK="0")
    return found
