"""The environment variables of a job that runs on several hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


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
