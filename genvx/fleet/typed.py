"""What people type to ask a host again, for messages."""

from __future__ import annotations

from genvx.ssh.defaults import TYPED


def typed(host: object) -> str:
    """Return what stands in front of a verb: genvx remote, with what names the hosts."""
    options = getattr(host, "options", None)
    return getattr(options, "typed", TYPED)
