"""The defaults of SSH connections."""

from __future__ import annotations

# Total seconds allowed per host.
TIMEOUT = 15.0
# Seconds of silence after which a host that holds something of ours counts as lost.
HOST_LOST_AFTER = 60.0
# What people type in front of a verb, where nobody says anything else.
TYPED = "genvx remote"
