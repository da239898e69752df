"""The most that one user may hold on a machine, and how their leases exceed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory
from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.leases.lease import Lease


@value
class Limit:
    """The most that one user may hold on this machine at once; None means no limit.

    gpus: devices. memory: bytes in total. time: seconds that an environment may last.
    """

    gpus: Optional[int] = None
    memory: Optional[int] = None
    time: Optional[float] = None

    def __str__(self) -> str:
        parts = []
        if self.gpus is not None:
            parts.append(f"{self.gpus} GPU{'' if self.gpus == 1 else 's'}")
        if self.memory is not None:
            parts.append(format_memory(self.memory))
        if self.time is not None:
            parts.append(f"for {format_duration(self.time)}")
        return ", ".join(parts) or "no limit"


def excess(
    limit: Limit, uid: int, leases: Iterable[Lease], memory: Mapping[str, Optional[int]]
) -> Optional[str]:
    """Return how a user's leases exceed a limit, as words after "you may"; None if they do not.

    memory: bytes of each device.
    """
    held: dict[tuple[str, str], int] = {}
    for lease in leases:
        if lease.owner.uid == uid:
            for uuid in lease.devices:
                # The members of one environment share its hold, so each device of an environment
                # counts once, with its largest share.
                key = (lease.environment_id, uuid)
                size = memory.get(uuid) if lease.memory is None else lease.memory
                held[key] = max(held.get(key) or 0, size or 0)
    devices = {uuid for _, uuid in held}
    if limit.gpus is not None and len(devices) > limit.gpus:
        return f"hold {limit.gpus} GPU{'' if limit.gpus == 1 else 's'} at once here"
    if limit.memory is not None and sum(held.values()) > limit.memory:
        return f"hold {format_memory(limit.memory)} of GPU memory at once here"
    return None
