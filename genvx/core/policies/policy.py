"""What the administrator of a machine allows: limits, hidden devices, devices to be shared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from genvx.core.policies.limit import Limit
from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from genvx.core.device import Device, VisibleAs
    from genvx.core.policies.enforcement import Enforcement


@value
class Policy:
    """The policy of one machine.

    hidden: devices that only administrators see. shared: devices that may be shared; None for all.
    oversubscribed: devices whose shares may add up to more than their memory. visible_as: how
    CUDA_VISIBLE_DEVICES names devices if the request does not say. in_use: whether a request may
    take devices that somebody uses without a lease. debug_ports: whether runs may
    have debug ports. enforcement: what `genvx enforce` does; None if it has nothing to do.

    Devices are named by UUID or by number.
    """

    everybody: Limit = field(default_factory=Limit)
    groups: Mapping[str, Limit] = field(default_factory=dict)
    users: Mapping[str, Limit] = field(default_factory=dict)
    administrators: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    shared: Optional[tuple[str, ...]] = None
    oversubscribed: tuple[str, ...] = ()
    visible_as: Optional[VisibleAs] = None
    in_use: bool = True
    debug_ports: bool = True
    enforcement: Optional[Enforcement] = None

    def limit(self, user: str, groups: Iterable[str]) -> Limit:
        """Return the limit of a user; administrators have none.

        For each key it is the user's own; else the most generous of their groups'; else
        everybody's.
        """
        if self.is_administrator(user):
            return Limit()
        own = self.users.get(user, Limit())
        theirs = [self.groups[group] for group in groups if group in self.groups]

        def most(of: Callable[[Limit], Any]) -> Any:
            if of(own) is not None:
                return of(own)
            # The most generous group wins: being in one more group never takes anything away.
            given = [of(limit) for limit in theirs if of(limit) is not None]
            return max(given) if given else of(self.everybody)

        return Limit(
            most(lambda limit: limit.gpus),
            most(lambda limit: limit.memory),
            most(lambda limit: limit.time),
        )

    def is_administrator(self, user: str) -> bool:
        """Whether a user is root or a named administrator."""
        return user == "root" or user in self.administrators

    def hides(self, device: Device) -> bool:
        """Whether only administrators see a device."""
        return _is_named(device, self.hidden)

    def shares(self, device: Device) -> bool:
        """Whether several environments may hold parts of a device."""
        return self.shared is None or _is_named(device, self.shared)

    def oversubscribes(self, device: Device) -> bool:
        """Whether the parts of a device may add up to more than its memory."""
        return _is_named(device, self.oversubscribed)


def _is_named(device: Device, names: Sequence[str]) -> bool:
    # A MIG instance is also named by its GPU's UUID or index: one entry covers all instances.
    return bool({device.uuid, device.label, device.parent, str(device.index)} & {*names})


@value
class Entitlement:
    """What one user may do on a host: the host's policy, and the limit that applies to the user."""

    user: str
    policy: Policy
    limit: Limit
