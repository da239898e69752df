"""The devices of many hosts, a row for each host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from genvx.core.leases.claim import Owner
from genvx.core.quantities.amounts import format_memory
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.snapshot import Snapshot

COLUMNS = ("HOST", "TOTAL", "AVAILABLE", "MODEL", "MEMORY", "USERS")
FITTING = Fitting(
    yielding={"MODEL": 10, "MEMORY": 8, "USERS": 10},
    dropped=("MEMORY", "MODEL", "USERS"),
    kept=("HOST",),
)


def row(name: str, snapshot: Snapshot) -> list[str]:
    """Return the row of a host."""
    devices = snapshot.devices
    return [
        name,
        str(len(devices)),
        str(len(snapshot.available)),
        _counted([device.shown_name for device in devices]),
        _counted([format_memory(device.memory) for device in devices]),
        ", ".join(users(snapshot)),
    ]


def _counted(kinds: list[str]) -> str:
    """Return the kind of all devices of a host, or counts such as "4 A100, 2 H100"."""
    counts = Counter(kinds)
    if len(counts) == 1:
        return kinds[0]
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def users(snapshot: Snapshot) -> Iterable[str]:
    """Return the users of devices of a host, also those without a lease."""
    holders = [str(env.owner) for env in snapshot.environments if env.devices]
    others = [
        process.user if process.uid is None else str(Owner(process.uid, process.user))
        for device in snapshot.devices
        for process in snapshot.foreign(device)
    ]
    return dict.fromkeys(holders + others)
