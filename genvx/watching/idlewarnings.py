"""Which idle environments somebody is to be told of, look by look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event
from genvx.watching.idleness import Idleness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.leases.environment import Environment
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.snapshot import Snapshot
    from genvx.watching.sight import Sight


class IdleWarnings:
    """Warnings of environments that do not use their devices: one for each time that one is idle,
    to each notifier that wants it.
    """

    def __init__(self, notifiers: Sequence[Notifier]) -> None:
        self._notifiers = [each for each in notifiers if each.wants(Event.IDLE)]
        self._idleness = Idleness()
        # By host: who has been told of which environment.
        self._told: dict[str, set[tuple[EnvironmentKey, int]]] = {}

    def take(self, sight: Sight) -> list[tuple[Notifier, Message]]:
        """Note a look at a host; return what is to be told now."""
        if not self._notifiers or sight.snapshot is None:
            return []
        idle = self._idleness.take(sight)
        told = self._told.get(sight.host, set())
        found, still = [], set()
        for env in sight.snapshot.environments:
            for number, notifier in enumerate(self._notifiers):
                if not env.devices or idle.get(env.key, 0.0) < notifier.idle:
                    continue
                still.add((env.key, number))
                if (env.key, number) not in told:
                    found.append((notifier, _message(sight, sight.snapshot, env, idle[env.key])))
        self._told[sight.host] = still
        return found


def _message(sight: Sight, snapshot: Snapshot, env: Environment, idle: float) -> Message:
    labels = tuple(each.label for each in snapshot.devices if each.uuid in env.devices)
    return Message(
        Event.IDLE,
        "environment",
        sight.host,
        env.id,
        env.name,
        env.owner.name,
        seconds=idle,
        devices=labels,
        why=f"held by {env.owner.name}",
        command=env.command,
    )
