"""How a lease is claimed: publish it, scan again, and withdraw it if another one conflicts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Optional

from genvx.core.placing.holdings import conflicts
from genvx.local.granting import visibility
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.leases.lease import Lease
    from genvx.local.machine import Machine
    from genvx.local.rules import Rules
    from genvx.local.state.held import HeldLease

# After this many collisions an error is more use than to keep trying. The pause grows with the
# attempts, so that many rivals spread over more time.
MOST_ATTEMPTS = 50
_BACK_OFF = 0.002


def claim(
    host: Machine,
    lease: Lease,
    memory: Mapping[str, Optional[int]],
    *,
    joins: bool = False,
    rules: Optional[Rules] = None,
    through: Optional[int] = None,
) -> Optional[HeldLease]:
    """Publish a lease, scan again, and withdraw it if another lease conflicts: then return None.

    Every lease goes this way, also one that joins an environment which already holds its devices. A
    scan takes a moment: a rival may find the file of the first member gone and not have listed the
    file of the second yet, and would take the environment for ended. But such a rival has published
    before it scanned, so the process that joins sees its lease here.

    joins: whether another member has to be alive; for an amendment it has to be anyway. rules: the
    policy that the lease must keep. through: a descriptor to hold it by.
    """
    state = host.state
    held = LeaseStore(state).publish(lease, through=through)
    try:
        # Published first, then scanned. If neither of two rivals saw the other, each scan would
        # come before the other's rename, and after its own: a circle, which is impossible. So at
        # least one of them sees the other and withdraws, with or without the lock.
        scan = host.store.scan()
        living = scan.leases
        # The machine may have been provisioned meanwhile, and root may have scanned the former
        # place for the last time. This is checked after publishing; checked before, a change in
        # between would be missed.
        moved = host.state is not state
        if not moved and not any(o.id == lease.id for o in (*living, *scan.amendments)):
            # What we do not find, others do not find either: they would be granted the same
            # devices.
            raise visibility.unseen(held, scan)
        alone = (joins or lease.amends) and not any(
            o.key == lease.key and o.id != lease.id and not o.amends for o in living
        )
        collided = moved or alone or conflicts(lease, living, memory)
        # The limit once more: two acquires of one user at once could each have found room for one.
        excess = rules is not None and rules.excess(lease, living, memory)
    except BaseException:
        # Also on Ctrl-C: a lease that was not verified must not stay published.
        held.withdraw()
        raise
    if not collided and not excess:
        return held
    held.withdraw()
    return None


def back_off(chance: random.Random, attempt: int) -> None:
    """Sleep for a random time, so that rivals separate.

    There is no tie-break by rank: it could evict a lease that was granted already.
    """
    time.sleep(chance.random() * _BACK_OFF * (1 + attempt))
