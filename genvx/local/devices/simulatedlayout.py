"""Where simulated devices are: on which GPU, as which instance, and how they are linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Sequence


def places_of(kinds: Sequence[tuple[str, int, int]]) -> list[tuple[int, Optional[int]]]:
    """Return the index of each device and, for a MIG instance, its number on its GPU."""
    found: list[tuple[int, Optional[int]]] = []
    gpu, last, used = -1, "", 0
    for name, _, slices in kinds:
        if not slices or name != last or used == slices:
            gpu, used = gpu + 1, 0
        found.append((gpu, used if slices else None))
        last, used = name, used + 1
    return found


def way_between(one: int, other: int) -> str:
    """Return the link (core/placing/topology.py): NVLink between pairs, and NUMA nodes of four."""
    if one == other:
        return "X"
    if one // 2 == other // 2:
        return "V"
    return "N" if one // 4 % 2 == other // 4 % 2 else "S"
