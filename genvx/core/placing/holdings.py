"""Who holds how much of each device, and whether more fits beside that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.leases.lease import Lease


def holders(leases: Iterable[Lease], uuid: str) -> dict[EnvironmentKey, Optional[int]]:
    """Return the environments that hold the device `uuid`, with their bytes of it (None: all).

    The members of one environment share its hold, so those of its terminals do not add up.
    """
    return holdings(lease for lease in leases if uuid in lease.devices).get(uuid, {})


def joint_memory(sizes: Iterable[Optional[int]]) -> Optional[int]:
    """Return the bytes that members hold together: those of the largest; None where one has all."""
    known = list(sizes)
    if not known or any(size is None for size in known):
        return None
    return max(size for size in known if size is not None)


def fits(
    wanted: Optional[int],
    others: Mapping[EnvironmentKey, Optional[int]],
    capacity: Optional[int],
    *,
    over: bool = False,
) -> bool:
    """Whether a hold of `wanted` bytes (None: all) fits beside the holds of others on one device.

    capacity: the device's bytes; None where unknown, and then it has no shares. over: whether
    shares may add up to more than the capacity.
    """
    if wanted is None:
        return not others
    if capacity is None or any(size is None for size in others.values()):
        return False
    if over:
        return wanted <= capacity
    return wanted + sum(size for size in others.values() if size is not None) <= capacity


def conflicts(mine: Lease, living: Iterable[Lease], memory: Mapping[str, Optional[int]]) -> bool:
    """Whether `mine` asks for more than the leases of other environments leave.

    memory: bytes of each device of `mine`. The verify step of an acquire and its tests both use
    this.
    """
    # Our own environment is no rival: all its members hold the same share.
    others = [lease for lease in living if lease.key != mine.key]
    return any(
        not fits(mine.memory, holders(others, uuid), memory.get(uuid), over=mine.over)
        for uuid in mine.devices
    )


def holdings(leases: Iterable[Lease]) -> dict[str, dict[EnvironmentKey, Optional[int]]]:
    """Return `holders` of every device that is held, at once."""
    found: dict[str, dict[EnvironmentKey, Optional[int]]] = {}
    for lease in leases:
        for uuid in lease.devices:
            held = found.setdefault(uuid, {})
            if lease.key in held:
                held[lease.key] = joint_memory((held[lease.key], lease.memory))
            else:
                held[lease.key] = lease.memory
    return found
