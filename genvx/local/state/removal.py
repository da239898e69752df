"""Deletes the files of leases."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from genvx.local.state.kinds import LEASE
from genvx.local.state.saying import state_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from genvx.core.leases.lease import Lease
    from genvx.local.state.directory import StateDirectory


def unpublish(state: StateDirectory, leases: Sequence[Lease]) -> None:
    """Delete the files of leases, whether a process holds them or not.

    Raises:
        StateError: one of them cannot be deleted.
    """
    for user in state.users():
        for lease in leases:
            if lease.owner.uid == user.uid:
                try:
                    os.unlink(LEASE.name(lease.id), dir_fd=user.descriptor)
                except FileNotFoundError:
                    pass  # ended by itself meanwhile, or in the user's other directory
                except OSError as error:
                    raise state_error(error, f"remove a lease of {lease.owner}") from None


def remove(state: StateDirectory, leases: Iterable[Lease]) -> None:
    """Delete the files of leases that no longer count, as far as we may."""
    unwanted = [lease for lease in leases if state.uid in (0, lease.owner.uid)]
    if not unwanted:
        return
    for user in state.users():
        for lease in unwanted:
            if lease.owner.uid == user.uid:
                with contextlib.suppress(OSError):
                    os.unlink(LEASE.name(lease.id), dir_fd=user.descriptor)
