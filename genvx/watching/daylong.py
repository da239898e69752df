"""How much of the GPUs was leased and busy over the last day: of each host, and for each user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.watching.shares import weight_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.snapshot import Snapshot

DAY = 24 * 3600.0
# Users who have a line of their own; what they make up must not fill our memory.
MOST_USERS = 64


class Amount:
    """GPUs of one host, summed up over looks. A MIG instance is a part of one."""

    __slots__ = ("busy", "leased", "looks", "told", "total")

    def __init__(self) -> None:
        self.looks = 0
        self.total = self.leased = 0.0
        # Of those whose utilization is known: how many, and how much of them was busy.
        self.told = self.busy = 0.0

    def add(self, total: float, leased: float, told: float, busy: float, looks: int = 1) -> None:
        """Add what looks have shown."""
        self.looks += looks
        self.total += total
        self.leased += leased
        self.told += told
        self.busy += busy

    def add_all(self, other: Amount) -> None:
        """Add another amount of the same host."""
        self.add(other.total, other.leased, other.told, other.busy, other.looks)


@value
class Curve:
    """Shares of one, a value for each step; None where nothing is known."""

    leased: tuple[float | None, ...]
    busy: tuple[float | None, ...]


@value
class Day:
    """Use of GPUs in steps of a time. users: how many GPUs each held, on average of each step."""

    source: str
    since: float
    step: float
    total: Curve
    hosts: Mapping[str, Curve]
    users: Mapping[str, tuple[float | None, ...]]


def day_of(
    source: str,
    since: float,
    step: float,
    amounts: Iterable[Mapping[str, Amount]],
    users: Iterable[Mapping[str, float]],
    *,
    most_users: int = MOST_USERS,
) -> Day:
    """Return a day.

    source: where it is from. amounts: for each step, what looks have shown of each host. users: for
    each step, the GPUs that each user held on average.
    """
    steps = list(amounts)
    names = list(dict.fromkeys(name for step_ in steps for name in step_))
    held = list(users)
    totals: dict[str, float] = {}
    for each in held:
        for user, gpus in each.items():
            totals[user] = totals.get(user, 0.0) + gpus
    first = sorted(totals, key=lambda user: (-totals[user], user))[:most_users]
    return Day(
        source,
        since,
        step,
        _curve([list(each.values()) for each in steps]),
        {name: _curve([[each[name]] if name in each else [] for each in steps]) for name in names},
        {
            user: tuple(
                each.get(user, 0.0) if step_ else None
                for step_, each in zip(steps, held, strict=True)
            )
            for user in first
        },
    )


def _curve(steps: list[list[Amount]]) -> Curve:
    leased: list[float | None] = []
    busy: list[float | None] = []
    for amounts in steps:
        # The mean of a host first: one that was looked at more often counts no more.
        seen = [each for each in amounts if each.looks]
        total = sum(each.total / each.looks for each in seen)
        told = sum(each.told / each.looks for each in seen)
        leased.append(_share(sum(e.leased / e.looks for e in seen), total))
        busy.append(_share(sum(e.busy / e.looks for e in seen), told))
    return Curve(tuple(leased), tuple(busy))


def _share(part: float, total: float) -> float | None:
    return min(1.0, part / total) if total else None


def part_of(memory: int | None, size: int | None) -> float:
    """Return the part of a device that somebody holds who has so much of its memory; None is
    all.
    """
    return 1.0 if memory is None or not size else min(1.0, memory / size)


def amount_of(snapshot: Snapshot) -> tuple[Amount, dict[str, float]]:
    """Return what one look at a host shows, and how many GPUs each user holds."""
    amount, users = Amount(), dict[str, float]()
    total = leased = told = busy = 0.0
    names = {lease.key: lease.owner.name for lease in snapshot.leases}
    for device in snapshot.devices:
        weight = weight_of(device.name, instance=device.instance is not None)
        total += weight
        held = 0.0
        for key, memory in snapshot.holdings.get(device.uuid, {}).items():
            part = weight * part_of(memory, device.memory)
            held += part
            users[names[key]] = users.get(names[key], 0.0) + part
        leased += min(weight, held)
        percent = snapshot.usage_of(device).utilization
        if percent is not None:
            told += weight
            busy += weight * min(100, percent) / 100
    amount.add(total, leased, told, busy)
    return amount, users
