"""Which devices, on which host; or why not, device by device.

Pure: the same facts give the same answer. Who was here first is not asked here (queue.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.device import Device, Health
from genvx.core.lease import EnvironmentKey, fits
from genvx.core.record import dataclass
from genvx.core.request import UNNAMED, Strategy
from genvx.core.topology import neighbours

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

    ever: how many would do if nobody held anything and all were well.
    """

    requirements: Requirements
    fitting: int
    total: int
    reasons: tuple[tuple[str, str], ...]
    driver_error: Optional[str] = None
    ever: int = 0

    @property
    def never(self) -> bool:
        """Whether waiting is of no use: the host does not have such devices, in such number."""
        return self.driver_error is None and self.ever < self.requirements.gpus

    def __str__(self) -> str:
        if self.driver_error is not None:
            return f"{self.requirements} wanted, 0 devices here: {self.driver_error}"
        reasons = self.reasons
        if self.requirements.devices:
            reasons = tuple(pair for pair in reasons if pair[1] != UNNAMED)
        if self.never and self.requirements.devices:
            head = f"{self.requirements} wanted, but only {self.ever} of these can be had here"
        elif self.never:
            head = f"{self.requirements} wanted, but this host has {self.ever} at most"
        else:
            head = f"{self.requirements} wanted, {self.fitting} of {self.total} available"
        if not reasons:
            return head
        shown = [f"GPU {label} {reason}" for label, reason in reasons[:8]]
        if len(reasons) > 8:
            shown.append(f"and {len(reasons) - 8} more")
        return f"{head} ({'; '.join(shown)})"


def place(
    requirements: Requirements,
    snapshot: Snapshot,
    *,
    environment: Optional[EnvironmentKey] = None,
    shuffle: Optional[random.Random] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> Union[Placement, Refusal]:
    """Choose devices on one host.

    Which of those that do, is the strategy's to say; among equals those that are neighbours.

    environment: an environment that asks for more; what it holds already is not offered to it
    again. shuffle: choose among what fits at random instead, so that rivals without a lock do not
    collide again. kept: devices that are not to be taken, by UUID, and why.
    """
    fitting = _fitting(requirements, snapshot, environment, kept)
    if len(fitting) < requirements.gpus:
        return _refusal(requirements, snapshot, environment, kept)
    if shuffle is not None:
        chosen = shuffle.sample(fitting, requirements.gpus)
    else:
        chosen = _choose(requirements, snapshot, fitting)
    return Placement(tuple(sorted(chosen, key=_order)))


def _fitting(
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> list[Device]:
    """The devices that would do."""
    # Of what is idle only the kind can be wrong; this is most of what choosing a host costs.
    idle = frozenset[str]() if kept else snapshot.available_uuids
    obstacle = requirements.obstacle if requirements.narrow else None
    return [
        device
        for device in snapshot.devices
        if (
            obstacle is None or obstacle(device) is None
            if device.uuid in idle
            else why_not(device, requirements, snapshot, environment, kept) is None
        )
    ]


def _order(device: Device) -> tuple[int, int]:
    return (device.index, device.instance or 0)


def _refusal(
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey],
    kept: Optional[Mapping[str, str]],
) -> Refusal:
    reasons = []
    for device in snapshot.devices:
        reason = why_not(device, requirements, snapshot, environment, kept)
        if reason is not None:
            reasons.append((device.label, reason))
    return Refusal(
        requirements,
        len(snapshot.devices) - len(reasons),
        len(snapshot.devices),
        tuple(reasons),
        snapshot.driver.error if not snapshot.devices else None,
        possible(requirements, snapshot),
    )


def possible(requirements: Requirements, snapshot: Snapshot) -> int:
    """How many devices of a host could ever serve: what nobody knows of one counts for it."""
    return sum(
        snapshot.usage_of(device).health is Health.UNKNOWN or requirements.mismatch(device) is None
        for device in snapshot.devices
    )


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
    usage = snapshot.usage.get(device.uuid)
    if usage is not None and usage.health is Health.UNKNOWN:
        return _unwell(usage.health, usage.reason)
    if requirements.narrow:
        obstacle = requirements.obstacle(device)
        if obstacle is not None:
            return obstacle
    held = snapshot.holdings.get(device.uuid)
    if usage is not None and not usage.idle:
        unusable = _unusable(device, snapshot)
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
    return "is leased by " + _tenants(device, snapshot)


def _unusable(device: Device, snapshot: Snapshot) -> Optional[str]:
    usage = snapshot.usage_of(device)
    if usage.health is not Health.OK:
        return _unwell(usage.health, usage.reason)
    foreign = snapshot.foreign(device)
    if foreign:
        first = foreign[0]
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        return f"is in use outside any lease by {first.user}, pid {first.pid}{more}"
    unseen = snapshot.unseen(device)
    return f"is busy ({unseen})" if unseen else None


def _unwell(health: Health, reason: str) -> str:
    return f"is {health.value}" + (f": {reason}" if reason else "")


def _tenants(device: Device, snapshot: Snapshot) -> str:
    names: dict[EnvironmentKey, str] = {}
    for lease in snapshot.leases:
        if device.uuid in lease.devices and lease.key not in names:
            names[lease.key] = f"{lease.owner} as {lease.label}"
    return " and ".join(names.values())


def left(device: Device, snapshot: Snapshot) -> float:
    """Return the bytes of `device` that nobody holds; unknown counts as most, to go last."""
    if device.memory is None:
        return float("inf")
    held = snapshot.holdings.get(device.uuid)
    return device.memory - sum(size or 0 for size in held.values()) if held else device.memory


def _choose(requirements: Requirements, snapshot: Snapshot, fitting: list[Device]) -> list[Device]:
    """What the strategy likes best; of what it likes equally well, those nearest to each other."""
    wanted = requirements.gpus
    if wanted == len(fitting):
        return fitting
    sign = -1 if requirements.strategy is Strategy.SPREAD else 1
    if requirements.strategy is Strategy.PACK and requirements.memory is None:
        sign = 0
    rated = [(sign * left(device, snapshot) if sign else 0, device) for device in fitting]
    rated.sort(key=lambda pair: (pair[0], *_order(pair[1])))
    if wanted < 1:
        return []
    last = rated[wanted - 1][0]
    better = [device for rate, device in rated if rate < last]
    equal = [device for rate, device in rated if rate == last]
    return better + neighbours(equal, wanted - len(better), better)


def rank(
    requirements: Requirements, snapshots: Mapping[str, Snapshot]
) -> tuple[tuple[str, ...], Mapping[str, Refusal]]:
    """Return the hosts that have room, best first, and why each other host has none.

    Best by the strategy: FIT, where the least memory is taken and then the fewest devices stay
    available; PACK, where the fewest stay available; SPREAD, where the most do. Equal hosts keep
    their order in the mapping.
    """
    from genvx.core.queue import left_over

    ranked: list[tuple[float, float, int, str]] = []
    refusals = {}
    for order, (name, snapshot) in enumerate(snapshots.items()):
        world, kept = left_over(snapshot)
        fitting = _fitting(requirements, world, None, kept)
        if len(fitting) < requirements.gpus:
            refusals[name] = _refusal(requirements, world, None, kept)
        else:
            ranked.append((*_rate(requirements, world, fitting), order, name))
    ranked.sort()
    return tuple(name for _, _, _, name in ranked), refusals


def _rate(
    requirements: Requirements, snapshot: Snapshot, fitting: list[Device]
) -> tuple[float, float]:
    """How good a host is for this, least is best; as `place` would take, without choosing yet."""
    rated = sorted((left(device, snapshot), device.uuid) for device in fitting)
    if requirements.strategy is Strategy.SPREAD:
        rated.reverse()
    idle = snapshot.available_uuids
    taken, remain = 0.0, len(idle)
    for size, uuid in rated[: requirements.gpus]:
        taken += size
        remain -= uuid in idle
    if requirements.strategy is Strategy.SPREAD:
        return (-remain, -taken)
    if requirements.strategy is Strategy.PACK:
        return (remain, taken)
    return (taken, remain)
