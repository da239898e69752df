"""What an environment has now, as a grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.leases.grant import Grant
from genvx.local import processes
from genvx.local.devices.inventory import Inventory

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.local.machine import Machine


def grant_of(found: Environment, inventory: Inventory) -> Grant:
    """Return an environment as a grant, with its devices as they are now."""
    held = [device for device in inventory.devices if device.uuid in found.devices]
    return Grant(
        environment_id=found.id,
        name=found.name,
        owner=found.owner,
        devices=tuple(sorted(held, key=lambda device: (device.index, device.instance or 0))),
        memory=found.memory,
        seconds=_left(found.expires_ns),
        visible_as=found.visible_as,
    )


def granted(host: Machine, environment: str) -> Grant:
    """See `LocalHost.grant_of`."""
    found = host.mine(environment)
    inventory = host.survey() if found.devices else Inventory()
    return grant_of(found, inventory)


def _left(expires_ns: Optional[int]) -> Optional[int]:
    """Whole seconds until a time of CLOCK_BOOTTIME."""
    if expires_ns is None:
        return None
    return max(0, expires_ns - processes.boottime_ns()) // 10**9
