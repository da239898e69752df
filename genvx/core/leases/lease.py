"""A lease: the hold of an environment on devices of one host.

Whether a process holds a lease is not decided here: the kernel knows (local/state/store.py).
`Lease.counts` decides what follows from that, from the lease's part and from its time.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.device import VisibleAs
from genvx.core.leases.claim import Claim
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.leases.environment import Holder

# A held lease still counts for this long after its time, while its processes are being ended
# (warning, TERM, KILL). Without a limit, a user who kills the keeper of the time would hold the
# devices for ever.
OVERTIME_NS = 60 * 10**9


class Part(str, Enum):
    """The role of a lease in its environment, and what keeps it alive.

    HELD keeps the environment alive while a process holds the lease, and until its time is over.
    RESERVED keeps it alive until its time is over, held or not. ATTACHED and DETACHED amend the
    environment: it has more devices, or fewer, from that moment on; they count while it lives.
    """

    HELD = "held"
    RESERVED = "reserved"
    ATTACHED = "attached"
    DETACHED = "detached"


@value
class Lease(Claim):
    """An environment's hold on some devices.

    `memory`: bytes on each device, or None for the whole of each. `over`: whether this share and
    others may add up to more than the device has. `visible_as`: how CUDA_VISIBLE_DEVICES names the
    devices for what runs under it.

    Times are nanoseconds of CLOCK_BOOTTIME in the boot `boot_id`. `pid`, `starttime`, `command`,
    `host`, `note` and `holders` are for people to read; no decision depends on them. `pid` is the
    process that took the lease, and may have ended. `holders` are the processes that hold it now:
    () for a lease that needs none, None if nobody has looked or only the owner could see them.
    """

    devices: tuple[str, ...]
    memory: Optional[int]
    expires_ns: Optional[int] = None
    note: str = ""
    part: Part = Part.HELD
    over: bool = False
    visible_as: VisibleAs = VisibleAs.UUID
    holders: Optional[tuple[Holder, ...]] = None

    @property
    def amends(self) -> bool:
        """Whether the lease changes an environment instead of keeping one alive."""
        return self.part in (Part.ATTACHED, Part.DETACHED)

    def counts(self, *, held: bool, boot_id: str, now_ns: int) -> bool:
        """Whether the lease counts now; an amendment also needs a living environment (see
        `amended`).

        held: whether a process holds the lease. boot_id: of this boot; empty where it is unknown.
        """
        if self.part is Part.HELD:
            over = self.expires_ns is not None and now_ns >= self.expires_ns + OVERTIME_NS
            return held and not over
        # Nothing below needs a holder, so a file on a persistent disk would count again after a
        # reboot: CLOCK_BOOTTIME starts at 0 in each boot. The boot id tells the boots apart.
        if not boot_id or self.boot_id != boot_id:
            return False
        if self.part is Part.RESERVED:
            return self.expires_ns is not None and now_ns < self.expires_ns
        return True


def age_order(lease: Lease) -> tuple[int, str]:
    """Return what leases are sorted by, oldest first."""
    return (lease.since_ns, lease.id)
