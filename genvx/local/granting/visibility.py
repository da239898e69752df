"""Whether others see our leases; if they do not, the same devices are granted to them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import StateError
from genvx.local.state import mountinfo

if TYPE_CHECKING:
    from genvx.local.machine import Machine
    from genvx.local.state.held import HeldLease
    from genvx.local.state.scanning import Scan


def warnings(host: Machine) -> list[str]:
    """Return lines for the person if part of the machine cannot see devices that are taken here."""
    root = host.state.root
    if root != host.places.unprovisioned or not mountinfo.is_private(root):
        return []
    return [
        f"{root} is not that of the whole machine here (PrivateTmp, or a job's own): users outside "
        "do not see what you hold, and may take it, too; 'genvx doctor' has advice"
    ]


def unseen(held: HeldLease, scan: Scan) -> StateError:
    """Return the error for a lease of our own that a scan does not show, with the likely cause."""
    path = held.path
    directory, file = path.split("/")[-2:]
    about = (f"{directory}:", f"{directory}/{file}:")
    reasons = [odd for odd in scan.odd if odd.startswith(about)]
    why = reasons[0] if reasons else "its file or directory was deleted or changed meanwhile"
    return StateError(
        printable(f"nothing was taken: the lease {path} is not seen by others ({why})", 500)
    )
