"""How long environments have not used their devices, as far as we have looked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.watching.shares import busy_percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.leases.claim import EnvironmentKey
    from genvx.core.snapshot import Snapshot
    from genvx.watching.sight import Sight


class Idleness:
    """Since when each environment has been idle.

    One is busy at a look if one of its devices is busy, or if that is unknown. It counts as busy
    when it is seen for the first time, so a monitor that was just started calls nobody idle.
    """

    def __init__(self) -> None:
        self._busy: dict[str, dict[EnvironmentKey, float]] = {}

    def take(self, sight: Sight) -> Mapping[EnvironmentKey, float]:
        """Note a look at a host; return for how many seconds each of its environments is idle."""
        if sight.snapshot is None:
            return {}
        before = self._busy.get(sight.host, {})
        busy = self._busy[sight.host] = {
            env.key: sight.at
            if _is_busy(sight.snapshot, env.key, env.devices)
            else before.get(env.key, sight.at)
            for env in sight.snapshot.environments
        }
        return {key: max(0.0, sight.at - last) for key, last in busy.items()}


def _is_busy(snapshot: Snapshot, key: EnvironmentKey, devices: tuple[str, ...]) -> bool:
    wanted = frozenset(devices)
    for device in snapshot.devices:
        if device.uuid in wanted:
            percent = busy_percent(snapshot, device, key, snapshot.holdings[device.uuid])
            if percent != 0:
                return True
    # Without a device there is nothing that it could leave idle.
    return not wanted
