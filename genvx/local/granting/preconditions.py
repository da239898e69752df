"""What has to hold before a process joins an environment, amends it or reserves devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.errors import StateError, UnknownEnvironment
from genvx.local import processes

if TYPE_CHECKING:
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.lease import Lease


def require_boot(lease: Lease) -> None:
    """Raise StateError if this boot is unknown: a lease that needs no holder would not count."""
    if not lease.boot_id:
        raise StateError(
            "this boot has no known id: /proc/sys/kernel/random/boot_id cannot be read"
        )


def refuse_over(found: Environment) -> None:
    """Raise UnknownEnvironment if the time of an environment is over: it is being ended."""
    if found.expires_ns is not None and processes.boottime_ns() >= found.expires_ns:
        raise UnknownEnvironment(f"the time of environment {found.label} is over")
