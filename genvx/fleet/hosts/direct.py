"""What needs an SSH connection that ends at the host itself, and not at a login node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.fleet.hosts.hostspec import HostSpec


def require_direct(spec: HostSpec, what: str) -> None:
    """Refuse it for a node of an allocation. what: as in "tunnels".

    Raises:
        InvalidInput: the host is such a node.
    """
    if spec.step is not None:
        raise InvalidInput(
            f"{printable(spec.name)} is a node of Slurm, where genvx runs commands through the "
            f"login node; {what} are not possible there"
        )
