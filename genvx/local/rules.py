"""What the policy of this machine says about one user. Imported only if there is a policy."""

from __future__ import annotations

import contextlib
import grp
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.policies.limit import excess
from genvx.core.quantities.ages import format_duration
from genvx.core.value import replace
from genvx.errors import InvalidInput, NoCapacity, Unsatisfiable
from genvx.local import processes
from genvx.local.state import policyfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.leases.lease import Lease
    from genvx.core.requests.requirements import Requirements
    from genvx.local.devices.inventory import Inventory


class Rules:
    """The policy of a state directory, applied to us.

    Raises:
        StateError: it cannot be read, or has a mistake.
    """

    def __init__(self, root: str, uid: int) -> None:
        self.policy = policyfile.read(root)
        self.uid = uid
        self.user = processes.owner_of(uid).name
        # The groups that this process has, which may be fewer than the database says. A group
        # without a name cannot be in the policy.
        groups = []
        for number in {os.getegid(), *os.getgroups()}:
            with contextlib.suppress(KeyError):
                groups.append(grp.getgrgid(number).gr_name)
        self.limit = self.policy.limit(self.user, groups)

    def govern(self, inventory: Inventory) -> Inventory:
        """Return the devices that we may see, with what the policy says about each."""
        sees_all = self.policy.is_administrator(self.user)
        return replace(
            inventory,
            devices=tuple(
                replace(
                    device,
                    shareable=self.policy.shares(device),
                    oversubscribable=self.policy.oversubscribes(device),
                )
                for device in inventory.devices
                if sees_all or not self.policy.hides(device)
            ),
        )

    def complete(self, requirements: Requirements) -> Requirements:
        """Fill in from the policy what the request leaves open, and leave out what it forbids."""
        if requirements.in_use and not self._may_take_used():
            # Not refused: such a request takes unused devices first, and may get one.
            requirements = replace(requirements, in_use=False)
        if requirements.visible_as is not None:
            return requirements
        return replace(requirements, visible_as=self.policy.visible_as)

    def _may_take_used(self) -> bool:
        return self.policy.in_use or self.policy.is_administrator(self.user)

    def time(self, requirements: Requirements, wanted: Optional[float]) -> Optional[float]:
        """Return how many seconds an environment lasts if `wanted` seconds were asked for.

        Raises:
            InvalidInput: too many seconds. Unsatisfiable: too many devices.
        """
        # Refused at once, not after waiting: by policy it never becomes possible.
        if self.limit.gpus is not None and requirements.gpus > self.limit.gpus:
            raise Unsatisfiable(
                f"{requirements} wanted, but by policy you may hold {self.limit.gpus} at once here"
            )
        most = self.limit.time
        if wanted is None or most is None:
            return most if wanted is None else wanted
        if wanted > most:
            raise InvalidInput(
                f"by policy an environment lasts {format_duration(most)} at most here, not "
                f"{format_duration(wanted)}"
            )
        return wanted

    def refuse_debug_port(self) -> None:
        """Raise InvalidInput if our runs may have no debug port."""
        if not (self.policy.debug_ports or self.policy.is_administrator(self.user)):
            raise InvalidInput("by policy runs have no debug port here (--debug-key-file)")

    def excess(
        self, lease: Lease, living: Iterable[Lease], memory: Mapping[str, Optional[int]]
    ) -> Optional[str]:
        """Return how a lease of ours, beside the living ones, exceeds our limit; None if it does
        not.
        """
        # In the verify step `living` contains the lease itself.
        others = [other for other in living if other.id != lease.id]
        return excess(self.limit, self.uid, [*others, lease], memory)

    def refuse_excess(
        self,
        requirements: Requirements,
        lease: Lease,
        living: Iterable[Lease],
        memory: Mapping[str, Optional[int]],
    ) -> None:
        """Raise NoCapacity if a lease exceeds our limit together with what we hold.

        It is Unsatisfiable if the lease alone exceeds the limit.
        """
        why = self.excess(lease, living, memory)
        if why is None:
            return
        head = f"{requirements} wanted, but by policy you may {why}"
        if self.excess(lease, (), memory):
            raise Unsatisfiable(head)
        raise NoCapacity(f"{head}, and hold some already")
