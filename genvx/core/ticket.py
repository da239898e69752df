"""A ticket: a place in the line for devices of one host. It is held by a lock, like a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.lease import EnvironmentKey, Owner
    from genvx.core.requirements import Requirements

# A ticket whose holder was not seen for this long, because the process is stopped or stuck, is
# passed over until it is seen again: it could not take what it is offered.
PATIENCE_NS = 30 * 10**9


@value
class Ticket:
    """One waiting request.

    environment: the id that its environment will have. most, most_memory: how many devices and
    bytes its owner may hold at once, by the host's policy; None without limit. keeps: whether it
    keeps devices from those behind it while they are too few for it; a request that waits on many
    hosts at once does so on one of them.

    Times are nanoseconds of CLOCK_BOOTTIME; `seen_ns` is when its holder last looked.
    """

    id: str
    owner: Owner
    environment: str
    name: str
    requirements: Requirements
    boot_id: str
    since_ns: int
    seen_ns: int
    pid: int = 0
    starttime: int = 0
    host: str = ""
    command: str = ""
    most: Optional[int] = None
    keeps: bool = True
    most_memory: Optional[int] = None

    @property
    def key(self) -> EnvironmentKey:
        """The environment of the ticket, identified by its owner's uid and its id."""
        return (self.owner.uid, self.environment)

    @property
    def label(self) -> str:
        """The name and id of its environment as people see them."""
        return f"{self.name} ({self.environment})" if self.name else self.environment

    def attends(self, now_ns: int) -> bool:
        """Whether the ticket's holder has looked lately."""
        return now_ns - self.seen_ns < PATIENCE_NS
