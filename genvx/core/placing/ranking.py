"""Which hosts have room for a request, best first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from genvx.core.line.queue import left_over
from genvx.core.placing.placement import fitting_of
from genvx.core.requests.preference import left
from genvx.core.requests.requirements import Strategy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.device import Device
    from genvx.core.placing.refusal import Refusal
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot


def rank(
    requirements: Requirements, snapshots: Mapping[str, Snapshot]
) -> tuple[tuple[str, ...], Mapping[str, Refusal]]:
    """Return the hosts that have room, best first, and why each other host has none.

    FIT prefers the host where the least memory is taken, then the one where the fewest devices stay
    available; PACK the one where the fewest stay available; SPREAD where the most do. Equal hosts
    keep their order in the mapping.
    """
    ranked: list[tuple[float, float, int, str]] = []
    refusals = _Refusals(requirements)
    for order, (name, snapshot) in enumerate(snapshots.items()):
        # Behind everybody who waits there: a host is not free if its devices are promised to
        # others.
        world, kept = left_over(snapshot)
        fitting = fitting_of(requirements, world, None, kept)
        if len(fitting) < requirements.gpus:
            refusals.add(name, world, kept)
        else:
            ranked.append((*_rate(requirements, world, fitting), order, name))
    ranked.sort()
    return tuple(name for _, _, _, name in ranked), refusals


class _Refusals(Mapping[str, "Refusal"]):
    """Why hosts have no room, each worked out when it is asked for.

    Where one host has room, nobody asks why a thousand others have none.
    """

    def __init__(self, requirements: Requirements) -> None:
        self._requirements = requirements
        self._worlds: dict[str, tuple[Snapshot, Mapping[str, str]]] = {}
        self._found: dict[str, Refusal] = {}

    def add(self, name: str, world: Snapshot, kept: Mapping[str, str]) -> None:
        """Add a host without room, as a newcomer finds it."""
        self._worlds[name] = world, kept

    def __getitem__(self, name: str) -> Refusal:
        if name not in self._found:
            # Imported here: most requests find a host with room.
            from genvx.core.placing.refusing import refusal_of

            world, kept = self._worlds[name]
            self._found[name] = refusal_of(self._requirements, world, None, kept)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._worlds)

    def __len__(self) -> int:
        return len(self._worlds)


def _rate(
    requirements: Requirements, snapshot: Snapshot, fitting: list[Device]
) -> tuple[float, float]:
    """How good a host is for the request; the least is the best.

    Estimates what `place` would take, without choosing devices: choosing is the expensive part.
    """
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
