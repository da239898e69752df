"""Why a device cannot serve a request, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.placing.holdings import fits
from genvx.core.quantities.ages import format_duration
from genvx.core.usage import Health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


LEASED = "is leased"


def why_not(
    device: Device,
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> Optional[str]:
    """Return why `device` cannot serve one device of `requirements`, as words after "GPU 3"; None
    if it can.
    """
    obstacle = obstacle_of(device, requirements, snapshot, environment, kept)
    return tenancy(device, snapshot) if obstacle is LEASED else obstacle


def obstacle_of(
    device: Device,
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> Optional[str]:
    """Return what `why_not` does, but LEASED where the device is leased by others.

    To find out who they are is most of the work, and choosing a host needs no names.
    """
    # The order of the checks decides which reason people read. An unknown device comes first, for
    # its model and size are not known either; then what waiting cannot change; then use by others;
    # and last what may pass soon.
    usage = snapshot.usage.get(device.uuid)
    if usage is not None and usage.health is Health.UNKNOWN:
        return _unwell(usage.health, usage.reason)
    if requirements.narrow:
        obstacle = requirements.obstacle(device)
        if obstacle is not None:
            return obstacle
    held = snapshot.holdings.get(device.uuid)
    if usage is not None and not usage.idle:
        unusable = _unusable(device, snapshot, in_use=requirements.in_use)
        if unusable is not None:
            return unusable
    if kept and device.uuid in kept:
        return kept[device.uuid]
    if held is None:
        return None
    if environment in held:
        return "is held by this environment already"
    if fits(requirements.memory, held, device.memory, over=requirements.over):
        return None
    return LEASED


def _unusable(device: Device, snapshot: Snapshot, *, in_use: bool) -> Optional[str]:
    usage = snapshot.usage_of(device)
    if usage.health is not Health.OK:
        return _unwell(usage.health, usage.reason)
    if in_use:
        return None
    foreign = snapshot.foreign(device)
    if foreign:
        first = foreign[0]
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        return f"is in use outside any lease by {first.user}, pid {first.pid}{more}"
    unseen = snapshot.unseen(device)
    return f"is busy ({unseen})" if unseen else None


def _unwell(health: Health, reason: str) -> str:
    return f"is {health.value}" + (f": {reason}" if reason else "")


def tenancy(device: Device, snapshot: Snapshot) -> str:
    """Return who has the device, as which environment, and for how long."""
    tenants = (
        f"{env.owner} as {env.name or env.id}, {format_duration(int(age))}"
        for env in snapshot.environments
        if device.uuid in env.devices
        for age in [snapshot.age_seconds(env.since_ns)]
    )
    return "is leased by " + " and ".join(tenants)
