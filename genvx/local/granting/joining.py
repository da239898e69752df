"""How a process joins an environment that lives already."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.environments import environments
from genvx.core.leases.lease import Part
from genvx.core.text import is_identifier
from genvx.core.value import replace
from genvx.errors import InvalidInput, NoCapacity
from genvx.local.devices.inventory import Inventory
from genvx.local.granting.claiming import MOST_ATTEMPTS, back_off, claim
from genvx.local.granting.grants import grant_of
from genvx.local.granting.preconditions import refuse_over
from genvx.local.running.hold import LocalHold

if TYPE_CHECKING:
    from genvx.local.machine import Machine


def join(
    host: Machine,
    environment: str,
    *,
    command: str,
    pid: Optional[int] = None,
    through: Optional[int] = None,
    part: Part = Part.HELD,
) -> LocalHold:
    """Hold an environment of one's own that is alive; see `LocalHost.join`.

    pid: the process on whose behalf we join, for people to read. through: a descriptor of an empty
    file that `LeaseStore.prepare` made; other processes that have it hold the lease, too. part:
    HELD or RESERVED.
    """
    inventory = host.survey() if host.mine(environment).devices else Inventory()
    chance = random.Random(os.urandom(8))
    # A file that a shell has opened can be published only once.
    for attempt in range(MOST_ATTEMPTS if through is None else 1):
        # The lease is dated before the scan, so that devices that are detached meanwhile stay
        # detached.
        blank = host.blank(environment, "", command, None, pid=pid)
        leases = host.own_leases(environment)
        found = environments(leases)[0]
        refuse_over(found)
        # Attached devices need no holder of their own: we hold what the other members do.
        fellow = next(each for each in leases if not each.amends)
        lease = replace(
            blank,
            id=blank.id if through is None else prepared_id(through),
            name=found.name,
            devices=fellow.devices,
            memory=fellow.memory,
            over=fellow.over,
            visible_as=fellow.visible_as,
            expires_ns=fellow.expires_ns,
            part=part,
        )
        if part is Part.RESERVED:
            lease = replace(lease, pid=0, starttime=0)  # no process holds it
        held = claim(host, lease, inventory.memory, joins=True, through=through)
        if held is not None:
            grant = replace(grant_of(found, inventory), lease=lease.id)
            return LocalHold(host, grant, held)
        back_off(chance, attempt)
    raise NoCapacity(
        f"environment {found.label} cannot be joined: others keep trying for its devices; try "
        "again in a moment"
    )


def prepared_id(descriptor: int) -> str:
    """Return the id of the lease for which a shell has opened a prepared file.

    Raises:
        InvalidInput: the descriptor is not open, or not of such a file.
    """
    try:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        raise InvalidInput(f"descriptor {descriptor} is not open") from None
    identifier = name[1:].split(".")[0]
    if not is_identifier(identifier):
        raise InvalidInput(f"descriptor {descriptor} is not that of a file for a lease")
    return identifier
