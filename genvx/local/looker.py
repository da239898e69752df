"""Looks at this machine while a process waits.

Asking the driver is not cheap, so it is asked again only when leases have come or gone, or after a
while: processes without a lease end without a trace.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot
    from genvx.local.machine import Machine

# Seconds for which an answer of the driver stays valid while no lease comes or goes.
_SURVEY = 15.0


class Looker:
    """Looks at a host often, and asks its driver rarely."""

    def __init__(self, host: Machine) -> None:
        self._host = host
        self._leases: Optional[frozenset[str]] = None
        self._asked = -math.inf
        self._inventory = host.survey()

    def forget(self) -> None:
        """Ask the driver at the next look: what is known of the devices has proved outdated."""
        self._asked = -math.inf

    def look(self) -> Snapshot:
        """Return the host as it is now."""
        snapshot = self._host.snapshot_with(self._inventory)
        leases = frozenset(lease.id for lease in snapshot.leases)
        if leases != self._leases or monotonic() >= self._asked + _SURVEY:
            self._inventory = self._host.survey()
            self._asked, self._leases = monotonic(), leases
            snapshot = self._host.snapshot_with(self._inventory)
        return snapshot
