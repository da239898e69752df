"""Memory of dead processes: a driver gives it back a moment after they have ended.

An acquire in that moment must not fail because an invisible process seems to use the device.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from genvx.core.line.queue import decide
from genvx.core.placing.refusal import Refusal
from genvx.core.usage import Health
from genvx.core.value import replace

if TYPE_CHECKING:
    from genvx.core.requests.requirements import Requirements
    from genvx.local.devices.inventory import Inventory
    from genvx.local.machine import Machine

# Seconds for which, and between which, the driver is asked again if only such memory is in the way.
_SETTLES = 2.0
_ASK_AGAIN = 0.25


def settled(host: Machine, requirements: Requirements) -> Inventory:
    """Return the devices; if only memory of dead processes is in the way, wait for it for 2 s at
    most.
    """
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
        # Wait only if the memory decides: if the request can be satisfied anyway, or not even then,
        # waiting changes nothing.
        waits = isinstance(decide(requirements, now), Refusal)
        if not waits or isinstance(decide(requirements, soon), Refusal):
            return inventory
        sleep(_ASK_AGAIN)
