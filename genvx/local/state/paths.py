"""Where the state is, as functions of the environment. Nothing is opened or created here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.value import value

if TYPE_CHECKING:
    from collections.abc import Mapping

# This file in the provisioned directory says that no lease is left in /var/tmp and that none will
# be made there.
SETTLED = "settled"


def chosen_root(environ: Mapping[str, str]) -> str:
    """Return $GENVX_STATE_DIR as a full path; empty if it is not set."""
    chosen = environ.get("GENVX_STATE_DIR", "")
    return os.path.abspath(chosen) if chosen else ""


@value
class Places:
    """The directories of a machine. tmpfiles: what systemd-tmpfiles reads, so that the provisioned
    one is there after each boot. units: where systemd reads units of the administrator.
    """

    provisioned: str = "/var/lib/genvx"
    # Not /tmp or /dev/shm: files of living leases would be deleted there, in /tmp by age, in
    # /dev/shm by systemd-logind when the user logs out for the last time.
    unprovisioned: str = "/var/tmp"
    tmpfiles: str = "/etc/tmpfiles.d/genvx.conf"
    units: str = "/etc/systemd/system"

    def state_root(self, environ: Mapping[str, str]) -> str:
        """Return the root of the state: $GENVX_STATE_DIR, else the provisioned one, else
        /var/tmp.
        """
        chosen = chosen_root(environ)
        if chosen:
            return chosen
        return self.provisioned if os.path.isdir(self.provisioned) else self.unprovisioned

    def former_root(self, environ: Mapping[str, str]) -> Optional[str]:
        """Return where leases from before this machine was provisioned may live; None for
        nowhere.
        """
        if chosen_root(environ) or not os.path.isdir(self.provisioned):
            return None
        if os.path.lexists(os.path.join(self.provisioned, SETTLED)):
            return None
        return self.unprovisioned

    def is_superseded(self, root: str, environ: Mapping[str, str]) -> bool:
        """Whether the machine has been provisioned since its state was found in `root`."""
        # A process may run for weeks. If it went on with /var/tmp alone, it would neither see nor
        # be seen by those who acquire in the new directory.
        return root == self.unprovisioned and self.state_root(environ) == self.provisioned


USUAL = Places()
