"""Which devices, on which host; or why not, device by device.

Pure: the same facts give the same answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.device import Device, Health
from genvx.core.lease import EnvironmentKey, fits, holders
from genvx.core.record import dataclass
from genvx.core.units import format_memory

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.request import Requirements
    from genvx.core.snapshot import Snapshot


@dataclass(frozen=True)
class Placement:
    """The devices to take, in index order."""

    devices: tuple[Device, ...]


@dataclass(frozen=True)
class Refusal:
    """Why there is no room: how many of how many fit, and what is the matter with each other
    device.
    """

    requirements: Requirements
    fitting: int
    total: int
    reasons: tuple[tuple[str, str], ...]
    driver_error: Optional[str] = None

    def __str__(self) -> str:
        if self.driver_error is not None:
            return f"{self.requirements} wanted, 0 devices here: {self.driver_error}"
        head = f"{self.requirements} wanted, {self.fitting} of {self.total} available"
        if not self.reasons:
            return head
        shown = [f"GPU {label} {reason}" for label, reason in self.reasons[:8]]
        if len(self.reasons) > 8:
            shown.append(f"and {len(self.reasons) - 8} more")
        return f"{head} ({'; '.join(shown)})"


def place(
    requirements: Requirements,
    snapshot: Snapshot,
    *,
    environment: Optional[EnvironmentKey] = None,
    shuffle: Optional[random.Random] = None,
) -> Union[Placement, Refusal]:
    """Choose devices on one host.

    Best fit: the smallest devices that do, so that large ones stay free; a share goes where the
    least is left.

    environment: an environment that asks for more; what it holds already is not offered to it
    again. shuffle: choose among what fits at random instead, so that rivals without a lock do not
    collide again.
    """
    fitting: list[Device] = []
    reasons: list[tuple[str, str]] = []
    for device in snapshot.devices:
        reason = why_not(device, requirements, snapshot, environment)
        if reason is None:
            fitting.append(device)
        else:
            reasons.append((device.label, reason))
    if len(fitting) < requirements.gpus:
        return Refusal(
            requirements,
            len(fitting),
            len(snapshot.devices),
            tuple(reasons),
            snapshot.driver.error if not snapshot.devices else None,
        )
    if shuffle is not None:
        shuffle.shuffle(fitting)
    else:
        fitting.sort(
            key=lambda device: (_left(device, snapshot), device.index, device.instance or 0)
        )
    chosen = fitting[: requirements.gpus]
    return Placement(tuple(sorted(chosen, key=lambda d: (d.index, d.instance or 0))))


def why_not(
    device: Device,
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
) -> Optional[str]:
    """Return why `device` cannot serve one device of `requirements`, as words after "GPU 3"; None
    if it can.
    """
    if requirements.among is not None and device.index not in requirements.among:
        return "is not offered by the hostfile"
    usage = snapshot.usage_of(device)
    if usage.health is not Health.OK:
        return f"is {usage.health.value}" + (f": {usage.reason}" if usage.reason else "")
    foreign = snapshot.foreign(device)
    if foreign:
        first = foreign[0]
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        return f"is in use outside any lease by {first.user}, pid {first.pid}{more}"
    held = holders(snapshot.leases, device.uuid)
    if not held and snapshot.unseen(device):
        return "may be in use by processes that cannot be seen from here"
    if environment in held:
        return "is held by this environment already"
    if fits(requirements.memory, held, device.memory):
        return None
    if requirements.memory is not None and device.memory is None:
        return "does not tell its memory, so it cannot be shared"
    if not held:
        return f"has {format_memory(device.memory)}"
    return "is leased by " + _tenants(device, snapshot)


def _tenants(device: Device, snapshot: Snapshot) -> str:
    keys = holders(snapshot.leases, device.uuid)
    names = [
        f"{env.owner} as {env.label}"
        for env in snapshot.environments
        if (env.owner.uid, env.id) in keys
    ]
    return " and ".join(names)


def _left(device: Device, snapshot: Snapshot) -> float:
    """Bytes of `device` that nobody holds; unknown counts as most, so that such devices go last."""
    if device.memory is None:
        return float("inf")
    held = holders(snapshot.leases, device.uuid).values()
    return device.memory - sum(size or 0 for size in held)


def rank(
    requirements: Requirements, snapshots: Mapping[str, Snapshot]
) -> tuple[tuple[str, ...], Mapping[str, Refusal]]:
    """Return the hosts that have room, best first, and why each other host has none.

    Best is where the fewest devices stay available, so that whole hosts stay free for those who
    need one; equal hosts keep their order in the mapping.
    """
    ranked: list[tuple[int, str]] = []
    refusals = {}
    for name, snapshot in snapshots.items():
        decision = place(requirements, snapshot)
        if isinstance(decision, Refusal):
            refusals[name] = decision
        else:
            taken = set(decision.devices)
            ranked.append((sum(d not in taken for d in snapshot.available), name))
    ranked.sort(key=lambda pair: pair[0])
    return tuple(name for _, name in ranked), refusals
