"""When the job of Slurm ends that has the devices of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot


def ending(snapshot: Snapshot) -> str:
    """Return when the job ends, in words; nothing if there is none, or that is not known."""
    left = snapshot.seconds_left
    return "" if left is None else f"the job of Slurm ends in {format_duration(round(left))}"
