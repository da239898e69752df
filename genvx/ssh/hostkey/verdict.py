"""How a host key relates to known_hosts."""

from __future__ import annotations

from enum import Enum


class Verdict(Enum):
    """Verdict says how a host key relates to known_hosts."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"
