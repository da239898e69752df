"""Looks at this machine while a process waits.

Asking the driver is not cheap. It is asked again only when leases have come or gone, or after a
while, because processes without a lease end without a trace. All leases are read again only when
something has come or gone, or after a few seconds.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Optional

from genvx.local.state.signs import Signs

if TYPE_CHECKING:
    from genvx.core.snapshot import Snapshot
    from genvx.local.machine import Machine

# Seconds for which an answer of the driver stays valid while no lease comes or goes.
_SURVEY = 15.0
# Seconds after which the leases are read in any case: some changes leave no sign.
_READ = 5.0


class Looker:
    """Looks at a host often, and reads and asks rarely. To be closed."""

    def __init__(self, host: Machine) -> None:
        self._host = host
        self._leases: Optional[frozenset[str]] = None
        self._asked = -math.inf
        self._read = -math.inf
        self._inventory = host.survey()
        self._signs: Optional[Signs] = None

    def forget(self) -> None:
        """Ask the driver at the next look: what is known of the devices has proved outdated."""
        self._asked = self._read = -math.inf

    def has_news(self) -> bool:
        """Whether it is worth looking again."""
        signs = self._signs
        return monotonic() >= self._read + _READ or signs is None or signs.have_changed()

    def look(self) -> Snapshot:
        """Return the host as it is now."""
        self.close()
        self._signs = Signs(self._host.state)
        self._read = monotonic()
        snapshot = self._host.snapshot_with(self._inventory)
        leases = frozenset(lease.id for lease in snapshot.leases)
        if leases != self._leases or monotonic() >= self._asked + _SURVEY:
            self._inventory = self._host.survey()
            self._asked, self._leases = monotonic(), leases
            snapshot = self._host.snapshot_with(self._inventory)
        return snapshot

    def close(self) -> None:
        """Close the files that it watches."""
        signs, self._signs = self._signs, None
        if signs is not None:
            signs.close()
