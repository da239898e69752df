"""The beginning of the commands that messages suggest."""

from __future__ import annotations

from genvx.ssh.defaults import TYPED


def typed(host: object) -> str:
    """Return what comes before a verb to ask the same hosts again: genvx remote, and the hosts."""
    options = getattr(host, "options", None)
    return getattr(options, "typed", TYPED)
