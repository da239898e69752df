"""What holds for a host where nobody says otherwise."""

from __future__ import annotations

# Seconds for each host, over everything that is done with it.
TIMEOUT = 15.0
# Seconds of silence after which a host that something depends on is lost.
HOST_LOST_AFTER = 60.0
