"""Where state lives, as functions of the environment. Nothing is opened or created here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVISIONED = "/var/lib/genvx"
# Not /tmp and not /dev/shm: both are emptied under living leases, the first by age, the second by
# systemd-logind at a user's last logout.
UNPROVISIONED = "/var/tmp"


def state_root(environ: Mapping[str, str]) -> str:
    """Return the directory that holds the state: $GENVX_STATE_DIR, else the provisioned one, else
    /var/tmp.
    """
    chosen = environ.get("GENVX_STATE_DIR", "")
    if chosen:
        return os.path.abspath(chosen)
    return PROVISIONED if os.path.isdir(PROVISIONED) else UNPROVISIONED
