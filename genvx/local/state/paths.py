"""Where state lives, as functions of the environment. Nothing is opened or created here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

# In the provisioned one: no lease lives in the other any more, and none is made there.
SETTLED = "settled"


def chosen_root(environ: Mapping[str, str]) -> str:
    """Return $GENVX_STATE_DIR as a full path; empty where the machine's own directory is used,
    provisioned or not.
    """
    chosen = environ.get("GENVX_STATE_DIR", "")
    return os.path.abspath(chosen) if chosen else ""


@value
class Places:
    """The directories of a machine. tmpfiles: what systemd-tmpfiles reads, so that the provisioned
    one is there after each boot.
    """

    provisioned: str = "/var/lib/genvx"
    # Not /tmp and not /dev/shm: both are emptied under living leases, the first by age, the second
    # by systemd-logind at a user's last logout.
    unprovisioned: str = "/var/tmp"
    tmpfiles: str = "/etc/tmpfiles.d/genvx.conf"

    def state_root(self, environ: Mapping[str, str]) -> str:
        """Return the directory that holds the state: $GENVX_STATE_DIR, else the provisioned one,
        else /var/tmp.
        """
        chosen = chosen_root(environ)
        if chosen:
            return chosen
        return self.provisioned if os.path.isdir(self.provisioned) else self.unprovisioned

    def former_root(self, environ: Mapping[str, str]) -> Optional[str]:
        """Return where leases may live from before this machine was provisioned; None: nowhere."""
        if chosen_root(environ) or not os.path.isdir(self.provisioned):
            return None
        if os.path.lexists(os.path.join(self.provisioned, SETTLED)):
            return None
        return self.unprovisioned

    def is_superseded(self, root: str, environ: Mapping[str, str]) -> bool:
        """Whether a machine has been provisioned since its state was looked for in `root`."""
        return root == self.unprovisioned and self.state_root(environ) == self.provisioned


USUAL = Places()
