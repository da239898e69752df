"""Which devices of one host to take; or why not, device by device.

Pure: the same facts give the same answer. The order of waiting requests is not considered here, but
in queue.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.ages import format_duration
from genvx.core.device import Device, Health
from genvx.core.lease import fits
from genvx.core.ranges import ranges
from genvx.core.requirements import UNNAMED, Strategy
from genvx.core.topology import neighbours
from genvx.core.value import value

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from genvx.core.claim import EnvironmentKey
    from genvx.core.requirements import Requirements
    from genvx.core.snapshot import Snapshot

# With more different reasons than this, a refusal names only the owners of leases, not their
# environments and ages: the message must stay readable.
_MOST_REASONS = 3


@value
class Placement:
    """The devices to take, in index order."""

    devices: tuple[Device, ...]


@value
class Refusal:
    """Why there is no room: how many of how many devices fit, and the reason for each other device.

    ever: how many devices would fit if nobody held any and all were well.
    """

    requirements: Requirements
    fitting: int
    total: int
    reasons: tuple[tuple[str, str], ...]
    driver_error: Optional[str] = None
    ever: int = 0

    @property
    def never(self) -> bool:
        """Whether waiting is of no use: the host does not have enough such devices."""
        return self.driver_error is None and self.ever < self.requirements.gpus

    @property
    def passing(self) -> bool:
        """Whether waiting may help: there are enough such devices, and somebody else has them."""
        return self.driver_error is None and not self.never

    def __str__(self) -> str:
        return f"{self.requirements} wanted, {'but ' if self.never else ''}{self.found}"

    @property
    def found(self) -> str:
        """What is available instead, for messages where the request itself is already clear."""
        if self.driver_error is not None:
            return f"0 devices here: {self.driver_error}"
        reasons = self.reasons
        if self.requirements.devices:
            reasons = tuple(pair for pair in reasons if pair[1] != UNNAMED)
        if self.never and self.requirements.devices:
            if self.ever:
                head = f"this host can offer only {self.ever} of these"
            else:
                one = len(self.requirements.devices) == 1
                head = f"this host cannot offer {'it' if one else 'them'}"
        elif self.never:
            head = f"this host has {self.ever} at most" if self.ever else "this host has none"
        else:
            head = f"{self.fitting} of {self.total} available"
        groups: dict[str, list[str]] = {}
        for label, reason in reasons:
            groups.setdefault(reason, []).append(label)
        if not groups:
            return head
        shown = [
            f"GPU{'' if len(labels) == 1 else 's'} {ranges(labels)}: {reason.removeprefix('is ')}"
            for reason, labels in list(groups.items())[:8]
        ]
        if len(groups) > 8:
            shown.append(f"and {sum(map(len, list(groups.values())[8:]))} more GPUs")
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

    The strategy of the request chooses among the devices that fit; among equally good ones,
    neighbours are taken.

    environment: an environment that asks for more; devices that it holds already are not offered to
    it again. shuffle: choose at random among what fits, so that rivals without a lock do not
    collide again. kept: devices that must not be taken, by UUID, and why.
    """
    fitting = fitting_of(requirements, snapshot, environment, kept)
    if len(fitting) < requirements.gpus:
        return refusal_of(requirements, snapshot, environment, kept)
    if shuffle is not None:
        chosen = shuffle.sample(fitting, requirements.gpus)
    else:
        chosen = _choose(requirements, snapshot, fitting)
    return Placement(tuple(sorted(chosen, key=_order)))


def fitting_of(
    requirements: Requirements,
    snapshot: Snapshot,
    environment: Optional[EnvironmentKey] = None,
    kept: Optional[Mapping[str, str]] = None,
) -> list[Device]:
    """Return the devices that satisfy the request."""
    # A free, idle device can only be of the wrong kind, so the other checks are skipped for it:
    # they are most of what choosing among many hosts costs.
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
            if label in leased and reason == _leased(leased[label], snapshot)
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
    return _leased(device, snapshot)


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


def _leased(device: Device, snapshot: Snapshot) -> str:
    """Who has the device, as which environment, and for how long."""
    tenants = (
        f"{env.owner} as {env.name or env.id}, {format_duration(int(age))}"
        for env in snapshot.environments
        if device.uuid in env.devices
        for age in [snapshot.age_seconds(env.since_ns)]
    )
    return "is leased by " + " and ".join(tenants)


def _whose(device: Device, snapshot: Snapshot) -> str:
    """Who has the device."""
    owners = [str(env.owner) for env in snapshot.environments if device.uuid in env.devices]
    return "is leased by " + " and ".join(dict.fromkeys(owners))


def left(device: Device, snapshot: Snapshot) -> float:
    """Return the bytes of `device` that nobody holds; infinite if unknown, to be taken last."""
    if device.memory is None:
        return float("inf")
    held = snapshot.holdings.get(device.uuid)
    return device.memory - sum(size or 0 for size in held.values()) if held else device.memory


def _choose(requirements: Requirements, snapshot: Snapshot, fitting: list[Device]) -> list[Device]:
    """The devices that the strategy rates best; of equally good ones, the nearest to each other."""
    wanted = requirements.gpus
    if wanted == len(fitting):
        return fitting
    sign = -1 if requirements.strategy is Strategy.SPREAD else 1
    if requirements.strategy is Strategy.PACK and requirements.memory is None:
        # Whole devices fill nothing up within one host, so PACK has no preference among them.
        sign = 0
    rated = [(sign * left(device, snapshot) if sign else 0, device) for device in fitting]
    # Ties in index order: the same snapshot must give the same answer on every host and in each
    # test.
    rated.sort(key=lambda pair: (pair[0], *_order(pair[1])))
    if wanted < 1:
        return []
    last = rated[wanted - 1][0]
    better = [device for rate, device in rated if rate < last]
    equal = [device for rate, device in rated if rate == last]
    return better + neighbours(equal, wanted - len(better), better)
