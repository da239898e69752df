"""Whether a command asks its keeper."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from genvx.keeping import places

if TYPE_CHECKING:
    from genvx.keeping.warm import Warmth


def warmth(*, timeout: float, fanout: int, host_lost_after: float) -> Warmth | None:
    """Return what asks the keeper of this command; None if $GENVX_KEEP says that there is none.

    timeout, fanout, host_lost_after: as of the fleet that is asked.

    Raises:
        InvalidQuantity: $GENVX_KEEP is neither 0 nor a duration.
    """
    idle = places.idle_time(os.environ)
    if idle is None:
        return None
    from genvx.keeping.warm import Warmth

    config = os.environ.get("GENVX_SSH_CONFIG")
    return Warmth(
        os.environ,
        # The keeper is in another directory.
        config=os.path.abspath(os.path.expanduser(config)) if config else None,
        timeout=timeout,
        fanout=fanout,
        host_lost_after=host_lost_after,
        idle=idle,
        start=_start,
    )


@functools.cache
def _start() -> None:
    """Start a keeper if a person is here: what they have typed is often followed by more.

    Once: where it ends at once, for whatever reason, a command that goes on for hours would start
    it again and again.
    """
    if os.isatty(2):
        # Imported here: most commands start none.
        from genvx.keeping.starting import start

        start(os.environ)
