"""The leases of one machine, and the tickets of requests that wait for one.

A lease is a file in its owner's directory whose write lock a process holds. It is published
complete and already locked (by rename), and never locked again, so a dead lease stays dead. Only
reservations and amendments need no holder (core/leases/lease.py).

Safety rests on publish-then-verify, not on the lock file: an acquire publishes, scans again, and
withdraws on any conflict. Two rivals cannot both miss the other, because each published before it
scanned. The lock file only keeps rivals from colliding; without it everything is slower and still
correct.

A ticket is a file of the same kind: a place in the line that ends with the process that waits.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from genvx.core.leases.environments import meant
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import NotOwner, StateError, UnknownEnvironment
from genvx.local import processes
from genvx.local.state import locks
from genvx.local.state.kinds import LEASE, TICKET, Kind
from genvx.local.state.lockfile import TIMEOUT, LockFile
from genvx.local.state.saying import saying
from genvx.local.state.scanning import Scan, scan
from genvx.local.state.userdirectory import MOST_OF_A_KIND

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from genvx.core.leases.lease import Lease
    from genvx.core.line.ticket import Ticket
    from genvx.local.state.directory import StateDirectory
    from genvx.local.state.held import HeldLease, HeldTicket


class LeaseStore:
    """The leases below one state directory. Reading takes no lock and needs no write permission.

    most: files that a user may publish.
    """

    def __init__(
        self,
        state: StateDirectory,
        *,
        lock_timeout: float = TIMEOUT,
        most: int = MOST_OF_A_KIND,
    ) -> None:
        self.state = state
        self._lock_timeout = lock_timeout
        self._most = most

    # Reading

    def scan(self, *, reap: bool = False) -> Scan:
        """Find all living leases of all users; see `scanning.scan`."""
        return scan(self.state, reap=reap)

    def is_held(self, lease: Lease) -> bool:
        """Whether a process holds a lease just now; True if unknown."""
        for user in self.state.users():
            if user.uid == lease.owner.uid:
                try:
                    descriptor = user.open(LEASE.name(lease.id))
                except FileNotFoundError:
                    continue
                except OSError:
                    return True
                try:
                    return locks.is_held(descriptor)
                except OSError:
                    return True
                finally:
                    os.close(descriptor)
        return False

    # Writing

    def transaction(self, notes: list[str]) -> AbstractContextManager[None]:
        """Keep rivals out during one unit of work; go on without the lock if it cannot be had in
        time.

        notes: receives a line that says why there was no lock, and who has it.
        """
        return LockFile(self.state, self._lock_timeout).taken(notes)

    def publish(self, lease: Lease, *, through: Optional[int] = None) -> HeldLease:
        """Publish a lease of one's own, complete and already locked.

        through: a descriptor of a file that `prepare` has made; the lease then has that file's id.

        Raises:
            StateError: the state cannot be written; nothing was published.
        """
        from genvx.local.state.held import HeldLease

        data = LEASE.write(lease)
        try:
            # What others cannot read would count for nothing, and its devices would be given twice.
            LEASE.read(data, owner=lease.owner, identifier=lease.id)
        except Malformed as error:
            raise StateError(f"a fault of genvx: a lease that nobody could read: {error}") from None
        held = HeldLease(lease, *self._publish(lease.id, LEASE, data, through))
        if lease.amends:
            self.state.tell_former()
        return held

    def prepare(self) -> str:
        """Make an empty file through which a shell can hold a lease; return its path.

        Shells cannot be passed a descriptor, but can open a file. After a minute without a lease
        the file counts as left behind.
        """
        from genvx.local.state import publishing

        identifier = f"{processes.boottime_ns() // 10**9:08x}{os.urandom(8).hex()}"
        with saying(f"write a lease in {self.state.root}"), self.state.own() as directory:
            return os.path.join(
                self.state.path_of(directory), publishing.prepare(identifier, directory)
            )

    def queue(self, ticket: Ticket) -> HeldTicket:
        """Take a place in the line, as `publish` does."""
        from genvx.local.state.held import HeldTicket

        return HeldTicket(ticket, *self._publish(ticket.id, TICKET, TICKET.write(ticket)))

    def _publish(
        self, identifier: str, kind: Kind, data: bytes, through: Optional[int] = None
    ) -> tuple[int, int]:
        """Publish a file; return its descriptor and that of its directory."""
        # Imported here: a question only reads, and should not pay for what writes.
        from genvx.local.state import publishing
        from genvx.local.state.tidying import tidy

        with saying(f"write a lease in {self.state.root}"), self.state.own() as directory:
            tidy(self.state, directory, self._most)
            return publishing.publish(identifier, kind, data, directory, through)

    def releasable(self, environment: str) -> tuple[Lease, ...]:
        """Return the living leases of an environment that we may release: our own, or for root all.

        environment: its id or its name.

        Raises:
            UnknownEnvironment: there is none, or the name fits several.
            NotOwner: it is another user's.
        """
        living = self.scan().leases
        key = meant((e for e in living if e.owner.uid == self.state.uid), environment)
        # Our own first: root may have an environment of the same name as somebody else.
        if key is None and self.state.uid == 0:
            key = meant(living, environment)
        if key is None:
            shown = printable(environment, 60)
            for each in living:
                if environment and environment in (each.environment_id, each.name):
                    raise NotOwner(
                        f"environment {shown!r} belongs to {each.owner}; "
                        "only its owner and root can release it"
                    )
            raise UnknownEnvironment(f"no active environment {shown!r} here")
        return tuple(lease for lease in living if lease.key == key)
