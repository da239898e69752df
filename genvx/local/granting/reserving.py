"""Reservations: leases that last for their time without a process that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.leases.lease import Part
from genvx.errors import InvalidInput
from genvx.local.granting.acquiring import acquire
from genvx.local.granting.joining import join
from genvx.local.granting.preconditions import require_boot

if TYPE_CHECKING:
    from genvx.core.leases.grant import Grant
    from genvx.core.requests.ask import Ask
    from genvx.local.machine import Machine


def reserve(host: Machine, ask: Ask) -> Grant:
    """See `LocalHost.reserve`.

    The devices are held first, and reserved once that is verified: if we are killed in between,
    nothing is left behind.
    """
    if ask.lasts is None:
        raise InvalidInput("a reservation needs a duration (--for)")
    with acquire(host, ask) as hold:
        require_boot(hold.lease)
        join(
            host, hold.grant.environment_id, command=ask.command, part=Part.RESERVED
        ).leave_to_time()
        return hold.grant
