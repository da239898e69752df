"""What the page itself has seen of the last day, where there is no history of a monitor."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from genvx.watching.daylong import DAY, MOST_USERS, Amount, Day, amount_of, day_of

if TYPE_CHECKING:
    from genvx.watching.sight import Sight

# Seconds: of a short time there are fine steps, and each is a multiple of the one before.
_STEPS = (10, 60, 120, 300, 600)
_MOST_STEPS = round(DAY / _STEPS[-1])


class _Step:
    """What was seen in a step: by host, and GPUs by host and user, summed up over looks."""

    __slots__ = ("hosts", "users")

    def __init__(self) -> None:
        self.hosts: dict[str, Amount] = {}
        self.users: dict[tuple[str, str], float] = {}

    def add(self, other: _Step) -> None:
        for host, amount in other.hosts.items():
            self.hosts.setdefault(host, Amount()).add_all(amount)
        for key, gpus in other.users.items():
            self.users[key] = self.users.get(key, 0.0) + gpus

    def held(self) -> dict[str, float]:
        """The GPUs of each user, on average."""
        found: dict[str, float] = {}
        for (host, user), gpus in self.users.items():
            found[user] = found.get(user, 0.0) + gpus / self.hosts[host].looks
        return found


class Seen:
    """Sums up what hosts have shown; written by many threads. At most a day, in few steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._step = _STEPS[0]
        self._steps: dict[int, _Step] = {}

    def take(self, sight: Sight) -> None:
        """Add a look at a host."""
        if sight.snapshot is None:
            return
        amount, users = amount_of(sight.snapshot)
        with self._lock:
            step = self._steps.setdefault(int(sight.at // self._step), _Step())
            step.hosts.setdefault(sight.host, Amount()).add_all(amount)
            for user, gpus in users.items():
                key = (sight.host, user)
                if key in step.users or len(step.users) < MOST_USERS * len(step.hosts):
                    step.users[key] = step.users.get(key, 0.0) + gpus
            self._make_room(sight.at)

    def _make_room(self, now: float) -> None:
        while self._step < _STEPS[-1] and now // self._step - min(self._steps) >= _MOST_STEPS:
            larger = _STEPS[_STEPS.index(self._step) + 1]
            before, self._steps = self._steps, {}
            for number, step in before.items():
                self._steps.setdefault(number * self._step // larger, _Step()).add(step)
            self._step = larger
        for number in [each for each in self._steps if now // self._step - each >= _MOST_STEPS]:
            del self._steps[number]

    def day(self) -> Day | None:
        """Return what was seen; None if that is nothing."""
        with self._lock:
            if not self._steps:
                return None
            first, last = min(self._steps), max(self._steps)
            steps = [self._steps.get(number) or _Step() for number in range(first, last + 1)]
            return day_of(
                "page",
                first * self._step,
                self._step,
                [step.hosts for step in steps],
                [step.held() for step in steps],
            )
