"""The defaults of fleets."""

from __future__ import annotations

# The number of hosts asked at once; each takes a thread.
FANOUT = 128
