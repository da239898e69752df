"""What one look at a host has shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot
    from genvx.errors import GenvxError


@value
class Sight:
    """One look at a host: its snapshot, or why there is none.

    at: when it ended, in seconds since the epoch, by our clock. seconds: how long the question
    took.
    """

    host: str
    at: float
    seconds: float
    snapshot: Snapshot | None = None
    error: GenvxError | None = None
