"""Ending channels of SSH connections."""

from __future__ import annotations

from typing import Any


def close_channel(channel: Any) -> None:
    """Close a channel, also one whose connection is gone already: then there is nobody to tell."""
    try:
        channel.close()
    except (EOFError, OSError):
        pass
