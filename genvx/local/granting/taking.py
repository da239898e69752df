"""How devices are taken: choose, claim, and try again after a collision."""

from __future__ import annotations

import contextlib
import os
import random
from typing import TYPE_CHECKING, Optional

from genvx.core.device import VisibleAs
from genvx.core.line.queue import decide
from genvx.core.placing.refusal import Refusal
from genvx.core.value import replace, value
from genvx.errors import NoCapacity
from genvx.local import processes
from genvx.local.devices.inventory import Inventory
from genvx.local.granting import visibility
from genvx.local.granting.claiming import MOST_ATTEMPTS, back_off, claim
from genvx.local.granting.settling import settled

if TYPE_CHECKING:
    from genvx.core.device import Device
    from genvx.core.leases.lease import Lease
    from genvx.core.requests.requirements import Requirements
    from genvx.local.machine import Machine
    from genvx.local.rules import Rules
    from genvx.local.state.held import HeldLease


@value
class Taken:
    """What was taken. notes: lines for the person to read."""

    held: HeldLease
    devices: tuple[Device, ...]
    notes: tuple[str, ...]


def take(
    host: Machine,
    requirements: Requirements,
    blank: Lease,
    *,
    rules: Optional[Rules] = None,
    ticket: Optional[str] = None,
    seconds: Optional[int] = None,
) -> Taken:
    """Choose devices for a lease that has none yet, and publish it; or raise and change nothing.

    An amendment succeeds only while somebody holds its environment. seconds: how long it lasts.
    """
    notes = visibility.warnings(host) if requirements.gpus else []
    # Before the lock is taken: a driver that hangs would hold the lock for its whole deadline.
    inventory = settled(host, requirements) if requirements.gpus else Inventory()
    chance = random.Random(os.urandom(8))
    for attempt in range(MOST_ATTEMPTS):
        with host.store.transaction(notes) if requirements.gpus else contextlib.nullcontext():
            snapshot = host.snapshot_with(inventory, reap=True)
            decision = decide(
                requirements,
                snapshot,
                environment=blank.key,
                # Rivals that follow the same rule would choose the same devices again.
                shuffle=chance if attempt else None,
                ticket=ticket,
            )
            if isinstance(decision, Refusal):
                raise decision.error
            now = processes.boottime_ns()
            lease = replace(
                blank,
                # A new id for each attempt: a withdrawn file may still be in the scan of a rival.
                id=os.urandom(8).hex(),
                since_ns=now,
                devices=tuple(device.uuid for device in decision.devices),
                over=requirements.over,
                visible_as=requirements.visible_as or VisibleAs.UUID,
                expires_ns=None if seconds is None else now + seconds * 10**9,
            )
            if rules is not None:
                rules.refuse_excess(requirements, lease, snapshot.leases, inventory.memory)
            held = claim(host, lease, inventory.memory, rules=rules)
        if held is not None:
            return Taken(held, decision.devices, tuple(dict.fromkeys(notes)))
        # The environment may have ended, which looks like a collision; then say so.
        if blank.amends:
            host.mine(blank.environment_id)
        back_off(chance, attempt)
    raise NoCapacity(
        f"{requirements} wanted, but others kept taking them first; try again in a moment"
    )
