"""What the dead leave: a driver gives back the memory of a process that has died a moment later.

Whoever acquires then must not be told that somebody whom nobody can see uses the device.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from genvx.core.device import Health
from genvx.core.placement import Refusal
from genvx.core.queue import decide
from genvx.core.value import replace

if TYPE_CHECKING:
    from genvx.core.requirements import Requirements
    from genvx.local.devices.inventory import Inventory
    from genvx.local.machine import Machine

# Seconds. Where only such memory is in the way, we ask again for so long, and so often.
_SETTLES = 2.0
_ASK_AGAIN = 0.25


def settled(host: Machine, requirements: Requirements) -> Inventory:
    """The devices; once it is back, where only memory of those who have just died is missing."""
    end = monotonic() + _SETTLES
    while True:
        inventory = host.survey()
        settling = {
            uuid
            for uuid, usage in inventory.usage.items()
            if usage.processes == () and usage.health is Health.OK and not usage.idle
        }
        if not settling or monotonic() >= end:
            return inventory
        now = host.snapshot_with(inventory)
        soon = replace(now, usage={u: s for u, s in now.usage.items() if u not in settling})
        waits = isinstance(decide(requirements, now), Refusal)
        if not waits or isinstance(decide(requirements, soon), Refusal):
            return inventory
        sleep(_ASK_AGAIN)
