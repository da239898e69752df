"""Where state lives, as functions of the environment. Nothing is opened or created here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVISIONED = "/var/lib/genvx"
# Not /tmp and not /dev/shm: both are emptied under living leases, the first by age, the second by
# systemd-logind at a user's last logout.
UNPROVISIONED = "/var/tmp"

# In the provisioned one: no lease lives in the other any more, and none is made there.
SETTLED = "settled"


def chosen_root(environ: Mapping[str, str]) -> str:
    """Return $GENVX_STATE_DIR as a full path; empty where the machine's own directory is used,
    provisioned or not.
    """
    chosen = environ.get("GENVX_STATE_DIR", "")
    return os.path.abspath(chosen) if chosen else ""


def state_root(environ: Mapping[str, str]) -> str:
    """Return the directory that holds the state: $GENVX_STATE_DIR, else the provisioned one, else
    /var/tmp.
    """
    chosen = chosen_root(environ)
    if chosen:
        return chosen
    return PROVISIONED if os.path.isdir(PROVISIONED) else UNPROVISIONED


def former_root(environ: Mapping[str, str]) -> Optional[str]:
    """Return where leases may live from before this machine was provisioned; None: nowhere."""
    if chosen_root(environ) or not os.path.isdir(PROVISIONED):
        return None
    if os.path.lexists(os.path.join(PROVISIONED, SETTLED)):
        return None
    return UNPROVISIONED


def is_superseded(root: str, environ: Mapping[str, str]) -> bool:
    """Whether a machine has been provisioned since its state was looked for in `root`."""
    return root == UNPROVISIONED and state_root(environ) == PROVISIONED
