"""Makes the refusal of a request: how many devices fit, and the reason for each other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.placing.refusal import Refusal
from genvx.core.requests.obstacles import tenancy, why_not
from genvx.core.usage import Health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.device import Device
    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot

# With more different reasons than this, a refusal names only the owners of leases, not their
# environments and ages: the message must stay readable.
_MOST_REASONS = 3


def refusal_of(
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey],
    kept: Optional[Mapping[str, str]],
) -> Refusal:
    """Return why a host has no room, with the reason for each device that does not fit."""
    reasons = []
    for device in snapshot.devices:
        reason = why_not(device, requirements, snapshot, environment, kept)
        if reason is not None:
            reasons.append((device.label, reason))
    fitting, ever = len(snapshot.devices) - len(reasons), possible(requirements, snapshot)
    if ever < requirements.gpus:
        # Even all devices of this kind would be too few, so it does not matter who has them now.
        wrong = {d.label for d in snapshot.devices if requirements.mismatch(d) is not None}
        reasons = [(label, reason) for label, reason in reasons if label in wrong]
    if len({reason for _, reason in reasons}) > _MOST_REASONS:
        leased = {
            device.label: device for device in snapshot.devices if device.uuid in snapshot.holdings
        }
        reasons = [
            (label, _whose(leased[label], snapshot))
            if label in leased and reason == tenancy(leased[label], snapshot)
            else (label, reason)
            for label, reason in reasons
        ]
    return Refusal(
        requirements,
        fitting,
        len(snapshot.devices),
        tuple(reasons),
        snapshot.driver.error if not snapshot.devices else None,
        ever,
    )


def possible(requirements: Requirements, snapshot: Snapshot) -> int:
    """Count the devices of a host that could ever satisfy the request.

    A device of which nothing is known, because it did not answer, counts: it may be of the right
    kind.
    """
    return sum(
        snapshot.usage_of(device).health is Health.UNKNOWN or requirements.mismatch(device) is None
        for device in snapshot.devices
    )


def _whose(device: Device, snapshot: Snapshot) -> str:
    """Who has the device."""
    owners = [str(env.owner) for env in snapshot.environments if device.uuid in env.devices]
    return "is leased by " + " and ".join(dict.fromkeys(owners))
