"""Ending channels of SSH connections."""

from __future__ import annotations

from typing import Any


def close_channel(channel: Any) -> None:
    """Close a channel; a connection that has already ended is no error."""
    # close() sends a message; on a dead connection it raises, although there is nothing left to do.
    try:
        channel.close()
    except (EOFError, OSError):
        pass
