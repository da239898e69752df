"""Where the history of a monitor is, unless somebody says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# That of the service which `genvx admin provision --monitor` installs; systemd makes its directory.
SERVICE = "genvx-monitor"
SERVICE_HISTORY = Path(f"/var/lib/{SERVICE}/history.db")


def usual_history(environ: Mapping[str, str], *, remote: bool) -> Path:
    """Return the file that a monitor writes: one for this machine, another for `genvx remote`."""
    home = environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return Path(home) / "genvx" / "monitor" / ("remote.db" if remote else "local.db")


def history_to_read(environ: Mapping[str, str], *, remote: bool) -> Path | None:
    """Return the history that is there for us: our own, or else the service's; None without."""
    own = usual_history(environ, remote=remote)
    found = [own] if remote else [own, SERVICE_HISTORY]
    return next((path for path in found if os.path.exists(path)), None)
