"""The devices of a machine, and who holds them, as a table."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from genvx.core.placing.holdings import holders
from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.core.requests.ranges import ranges
from genvx.core.snapshot import State
from genvx.shown.cells import terminal_size
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot

COLUMNS = ("GPU", "NAME", "MEMORY", "USED", "UTIL", "STATE", "USER", "ENV", "SINCE")
FITTING = Fitting(
    # ENV keeps an id whole: people type it.
    yielding={"NAME": 6, "USER": 6, "SINCE": 10, "ENV": 8, "STATE": 6},
    dropped=("MEMORY", "SINCE", "NAME", "USED", "UTIL"),
    kept=("HOST", "GPU"),
    coloured=("STATE",),
)
# Of a terminal, the lines for the header, an empty one, the total, and the prompt.
_BESIDE = 4
_USED, _UTIL = COLUMNS.index("USED"), COLUMNS.index("UTIL")


def total_of(devices: int, available: int) -> str:
    """Return the line below the table."""
    return f"Total {devices} devices with {available} available"


def is_long(devices: int, stream: TextIO) -> bool:
    """Whether a row for each device is more than a terminal shows at once; never elsewhere."""
    size = terminal_size(stream)
    return size is not None and devices + _BESIDE > size.lines


def rows(
    devices: Sequence[Device],
    snapshot: Snapshot,
    since: Callable[[float], str],
    *,
    compact: bool = False,
) -> list[list[str]]:
    """Return the rows of devices of a host.

    compact: one row for neighbours that differ in nothing but how much they are used; that is then
    from the least to the most.
    """
    found = [row(device, snapshot, since) for device in devices]
    if not compact:
        return found
    merged = []
    for _, alike in groupby(zip(devices, found), key=lambda each: _without_use(each[1])):
        group = list(alike)
        first = list(group[0][1])
        first[0] = ranges(device.label for device, _ in group)
        for at in (_USED, _UTIL):
            first[at] = _span(
                [cells[at] for _, cells in group],
                [_reading(device, snapshot, at) for device, _ in group],
            )
        merged.append(first)
    return merged


def _without_use(cells: Sequence[str]) -> tuple[str, ...]:
    # An unknown use is another than any known one.
    return tuple(
        ("?" if cell == "?" else "") if at in (_USED, _UTIL) else cell
        for at, cell in enumerate(cells)
    )[1:]


def _reading(device: Device, snapshot: Snapshot, at: int) -> int:
    usage = snapshot.usage_of(device)
    return (usage.memory_used if at == _USED else usage.utilization) or 0


def _span(texts: Sequence[str], readings: Sequence[int]) -> str:
    """From the least text to the most: "60-72 GiB", "512 MiB-1 GiB"."""
    order = sorted(range(len(texts)), key=readings.__getitem__)
    least, most = texts[order[0]], texts[order[-1]]
    if least == most:
        return most
    number, _, unit = least.rpartition(" ")
    return f"{number}-{most}" if most.endswith(f" {unit}") else f"{least}-{most}"


def row(device: Device, snapshot: Snapshot, since: Callable[[float], str]) -> list[str]:
    """Return the row of a device. since: formats an age in seconds."""
    usage = snapshot.usage_of(device)
    held = holders(snapshot.leases, device.uuid)
    tenants = [env for env in snapshot.environments if (env.owner.uid, env.id) in held]
    users = [str(env.owner) for env in tenants]
    state = snapshot.state(device)
    # Nobody holds it, so name the user whose process is in the way.
    if state is State.BUSY:
        users = [_foreigner(device, snapshot)]
    return [
        device.label,
        device.shown_name,
        format_memory(device.memory),
        format_memory(usage.memory_used),
        format_percent(usage.utilization),
        state.value + (", over-subscribed" if snapshot.oversubscribed(device) else ""),
        ", ".join(dict.fromkeys(users)),
        ", ".join(env.name or env.id for env in tenants),
        since(snapshot.age_seconds(tenants[0].since_ns)) if tenants else "",
    ]


def _foreigner(device: Device, snapshot: Snapshot) -> str:
    foreign = snapshot.foreign(device)
    if not foreign:
        return "no visible process"
    first = foreign[0]
    return f"{first.user} (pid {first.pid})"
