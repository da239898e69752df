"""On which hosts a number of equal requests would be, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.line.queue import decide
from genvx.core.placing.ranking import rank
from genvx.core.placing.refusal import Refusal
from genvx.core.value import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot

# Nobody: the leases below are in a snapshot of ours only.
_OWNER = Owner(-1, "")


def spread(
    requirements: Requirements, snapshots: Mapping[str, Snapshot], most: int
) -> tuple[str, ...]:
    """Return the hosts that have room for equal requests, one name for each, the best first.

    most: how many there are. Snapshots are not kept up to date by others: a host may refuse.
    """
    seen = dict(snapshots)
    chosen: list[str] = []
    while len(chosen) < most:
        ranked, _ = rank(requirements, seen)
        if not ranked:
            break
        best = ranked[0]
        taken = _with_one_more(requirements, seen[best], len(chosen))
        if taken is None:
            del seen[best]
            continue
        seen[best] = taken
        chosen.append(best)
    return tuple(chosen)


def _with_one_more(
    requirements: Requirements, snapshot: Snapshot, number: int
) -> Optional[Snapshot]:
    decision = decide(requirements, snapshot)
    if isinstance(decision, Refusal):
        return None
    lease = Lease(
        id=f"{number:016x}",
        owner=_OWNER,
        environment_id=f"{number:08x}",
        name="",
        boot_id=snapshot.boot_id,
        since_ns=snapshot.boottime_ns,
        devices=tuple(device.uuid for device in decision.devices),
        memory=requirements.memory,
    )
    return replace(snapshot, leases=(*snapshot.leases, lease))
