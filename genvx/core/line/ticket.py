"""A ticket: a place in the line for devices of one host. It is held by a lock, like a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.leases.claim import Claim
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.requests.requirements import Requirements

# A ticket whose holder was not seen for this long, because the process is stopped or stuck, is
# passed over until it is seen again: it could not take what it is offered.
PATIENCE_NS = 30 * 10**9


@value
class Ticket(Claim):
    """One waiting request.

    environment: the id that its environment will have. most, most_memory: how many devices and
    bytes its owner may hold at once, by the host's policy; None without limit. keeps: whether it
    keeps devices from those behind it while they are too few for it; a request that waits on many
    hosts at once does so on one of them.

    Times are nanoseconds of CLOCK_BOOTTIME; `seen_ns` is when its holder last looked.
    """

    requirements: Requirements
    seen_ns: int
    most: Optional[int] = None
    keeps: bool = True
    most_memory: Optional[int] = None

    def attends(self, now_ns: int) -> bool:
        """Whether the ticket's holder has looked lately."""
        return now_ns - self.seen_ns < PATIENCE_NS
