"""Which environments there are, from the leases of a host; and which one a user means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.leases.environment import Environment, Holder
from genvx.core.leases.lease import Lease, age_order
from genvx.core.placing.holdings import joint_memory
from genvx.core.text import printable
from genvx.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.leases.claim import EnvironmentKey


def environments(leases: Iterable[Lease]) -> tuple[Environment, ...]:
    """Group living leases into environments, oldest first."""
    members: dict[EnvironmentKey, list[Lease]] = {}
    for lease in leases:
        members.setdefault(lease.key, []).append(lease)
    found = []
    for group in members.values():
        group.sort(key=age_order)
        # The oldest lease names the environment: its name and command are those of its first
        # process, whatever joins later.
        first = group[0]
        found.append(
            Environment(
                id=first.environment_id,
                name=first.name,
                owner=first.owner,
                since_ns=first.since_ns,
                devices=tuple(dict.fromkeys(uuid for lease in group for uuid in lease.devices)),
                memory=joint_memory(lease.memory for lease in group if lease.devices),
                pids=tuple(lease.pid for lease in group if lease.pid),
                command=first.command,
                # The first end among its leases ends the environment: one who joins cannot make it
                # last longer.
                expires_ns=min(
                    (lease.expires_ns for lease in group if lease.expires_ns is not None),
                    default=None,
                ),
                visible_as=first.visible_as,
                holders=_joint_holders(group),
            )
        )
    return tuple(sorted(found, key=lambda env: (env.since_ns, env.owner.uid, env.id)))


def _joint_holders(leases: Iterable[Lease]) -> Optional[tuple[Holder, ...]]:
    """The holders of an environment, each once; None if there are none that can be seen."""
    told = [lease.holders for lease in leases]
    found = {holder.pid: holder for holders in told for holder in holders or ()}
    return None if not found and None in told else tuple(found.values())


def meant(leases: Iterable[Lease], wanted: str) -> Optional[EnvironmentKey]:
    """Find the environment that a user means by its id or its name; None if there is none.

    An id comes before a name.

    Raises:
        UnknownEnvironment: the name fits several environments.
    """
    found = [lease for lease in leases if wanted and wanted in (lease.environment_id, lease.name)]
    by_id = {lease.key for lease in found if lease.environment_id == wanted}
    keys = sorted(by_id or {lease.key for lease in found})
    if len(keys) > 1:
        ids = ", ".join(identifier for _, identifier in keys)
        raise UnknownEnvironment(
            f"several environments are named {printable(wanted, 60)!r}; give the id: {ids}"
        )
    return keys[0] if keys else None
