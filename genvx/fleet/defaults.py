"""What a fleet does where nobody says otherwise."""

from __future__ import annotations

# Hosts that are asked at once.
FANOUT = 128
# Seconds for each host, over everything that is done with it.
TIMEOUT = 15.0
# Seconds of silence after which a host that something depends on is lost.
HOST_LOST_AFTER = 60.0
