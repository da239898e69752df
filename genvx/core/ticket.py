"""A place in the line for devices of one host: a held lock, like a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.claim import Claim
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.requirements import Requirements

# A waiting process that was not seen for so long, because it is stopped or its host is stuck, is
# passed over until it is seen again.
PATIENCE_NS = 30 * 10**9


@value
class Ticket(Claim):
    """One who waits. environment: the id of what it will be once it has its devices.

    Times are nanoseconds of CLOCK_BOOTTIME; `seen_ns` is when its holder last looked. most,
    most_memory: how many devices and bytes its owner may hold at once, by the policy of the host;
    None without limit. keeps:
    whether it keeps devices from those behind while it cannot have enough; one who waits on many
    hosts at once does that on one of them.
    """

    requirements: Requirements
    seen_ns: int
    most: Optional[int] = None
    keeps: bool = True
    most_memory: Optional[int] = None

    def attends(self, now_ns: int) -> bool:
        """Whether its holder has looked lately."""
        return now_ns - self.seen_ns < PATIENCE_NS
