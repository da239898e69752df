"""What a fleet does where nobody says otherwise."""

from __future__ import annotations

# Hosts that are asked at once.
FANOUT = 128
