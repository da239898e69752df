"""Whether a run uses its devices, by the rule of `genvx enforce`, for those who want to know."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.enforcing.idle import look
from genvx.core.notifying.notifier import Event
from genvx.core.policies.enforcement import Enforcement, IdleRule, Measure
from genvx.errors import GenvxError
from genvx.local.enforcing.sighting import sight_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.notifying.notifier import Notifier
    from genvx.local.machine import Machine

# Seconds between two looks: each asks the driver.
_SELDOM = 60.0


class Quietness:
    """How long the environment of a run has not used its devices, as far as we have looked.

    Where that cannot be seen, as in a container, it counts as used.
    """

    def __init__(self, host: Machine, environment: str, notifiers: tuple[Notifier, ...]) -> None:
        self._host = host
        self._environment = environment
        self._wanting = [each for each in notifiers if each.wants(Event.IDLE)]
        self._told: set[int] = set()
        self._memory: Mapping[str, int] = {}
        self._since = self._due = time.monotonic()
        shortest = min((each.idle for each in self._wanting), default=_SELDOM)
        self._every = max(1.0, min(_SELDOM, shortest / 4))

    def due(self) -> list[tuple[Notifier, float]]:
        """Look, if it is time; return who is to be told now, and of how many idle seconds."""
        now = time.monotonic()
        if not self._wanting or now < self._due:
            return []
        self._due = now + self._every
        try:
            rules = self._host.rules()
            enforced = None if rules is None else rules.policy.enforcement
            is_quiet = self._is_quiet(enforced or Enforcement())
        except GenvxError:
            is_quiet = False
            enforced = None
        if not is_quiet:
            self._since = now
            self._told.clear()
            return []
        # Before the policy of the host takes the devices away, and not after it.
        most = None if enforced is None else _half_time(enforced.idle)
        found = []
        for number, notifier in enumerate(self._wanting):
            limit = notifier.idle if most is None else min(notifier.idle, most)
            if number not in self._told and now - self._since >= limit:
                self._told.add(number)
                found.append((notifier, now - self._since))
        return found

    def _is_quiet(self, rules: Enforcement) -> bool:
        sight = sight_of(self._host, rules).sight
        key = (os.getuid(), self._environment)
        env = next((each for each in sight.snapshot.environments if each.key == key), None)
        if env is None or not env.devices:
            return False
        seen = look(env, sight, (rules.idle or IdleRule()).below)
        grew = seen.grew(self._memory) and bool(self._memory)
        self._memory = {**self._memory, **seen.memory}
        return not (seen.busy or grew)


def _half_time(rule: Optional[IdleRule]) -> Optional[float]:
    """Seconds after which `genvx enforce` warns of a release."""
    return rule.after / 2 if rule is not None and rule.do is Measure.RELEASE else None
