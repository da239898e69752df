"""Scans the state directory for the leases and tickets that live."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.amendments import amended
from genvx.core.line.ticket import Ticket
from genvx.core.text import printable
from genvx.core.value import value
from genvx.core.wire.plain import Malformed
from genvx.local import processes
from genvx.local.state.kinds import CLAIMS, suffixes
from genvx.local.state.reading import read_claim
from genvx.local.state.saying import state_error
from genvx.local.state.userdirectory import OWNERS_DOING

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner
    from genvx.core.leases.lease import Lease
    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.userdirectory import UserDirectory

# How often to scan again for a complete listing. Under constant churn there may never be one;
# safety does not depend on it.
_LOOKS = 3


@value
class Scan:
    """The result of a scan of the state.

    leases: the living leases, with amendments applied. odd: files that are ignored, and why.
    tickets: the living ones. amendments: as they were written.
    """

    leases: tuple[Lease, ...]
    odd: tuple[str, ...]
    tickets: tuple[Ticket, ...] = ()
    amendments: tuple[Lease, ...] = ()


def scan(state: StateDirectory, *, reap: bool = False) -> Scan:
    """Find all living leases of all users. Never raises because of what a user put there.

    reap: whether to delete dead files on the way, as far as they are ours to delete.

    Raises:
        StateError: something could not be read, for a reason that its owner has not caused.
    """
    for _ in range(_LOOKS):
        found, whole = _scan(state, reap)
        if whole:
            break
    return found


def _scan(state: StateDirectory, reap: bool) -> tuple[Scan, bool]:
    """Scan once; the second value is False if a file was gone before it could be read.

    The environment may have passed meanwhile from that member to one whose file was not there
    yet when the directory was listed.
    """
    leases: list[Lease] = []
    amendments: list[Lease] = []
    tickets: list[Ticket] = []
    odd: list[str] = []
    missing: set[int] = set()
    boot, now = processes.boot_id(), processes.boottime_ns()
    for user in state.users(odd):
        owner: Optional[Owner] = None
        missed = False
        for name in _lease_names(state, user, odd):
            owner = owner or processes.owner_of(user.uid)
            try:
                found, held = read_claim(user, name, owner)
            except Malformed as error:
                odd.append(printable(f"{user.name}/{name}: {error}", 300))
                continue
            except FileNotFoundError:
                missed = True
                continue
            except OSError as error:
                if error.errno not in OWNERS_DOING:
                    raise state_error(
                        error, f"read {printable(_path(state, user, name))}"
                    ) from None
                odd.append(printable(f"{user.name}/{name}: {error.strerror}", 300))
                continue
            if isinstance(found, Ticket):
                tickets.append(found)
            elif found is not None and found.counts(held=held, boot_id=boot, now_ns=now):
                (amendments if found.amends else leases).append(found)
            elif reap and not held and state.uid in (0, user.uid):
                # Held beyond its time it stays: to its keeper a missing file means released.
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=user.descriptor)
        if missed:
            missing.add(user.uid)
    if reap and amendments:
        # Not if a file of the user was missed: it may be of the process that now holds the
        # environment.
        from genvx.local.state.removal import remove

        living = {lease.key for lease in leases}
        remove(
            state,
            [
                each
                for each in amendments
                if each.key not in living and each.owner.uid not in missing
            ],
        )
    scan = Scan(amended(leases, amendments), tuple(odd[:1000]), tuple(tickets), tuple(amendments))
    return scan, not missing


def _path(state: StateDirectory, user: UserDirectory, name: str = "") -> str:
    return os.path.join(state.root, user.name, name)


def _lease_names(state: StateDirectory, user: UserDirectory, odd: list[str]) -> list[str]:
    try:
        names, whole = user.names(suffixes(CLAIMS))
    except OSError as error:
        if error.errno not in OWNERS_DOING:
            raise state_error(error, f"read {_path(state, user)}") from None
        return []
    if not whole:
        odd.append(f"{user.name}: more files than are looked at; the rest is ignored")
    return names
