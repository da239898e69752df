"""The leases of one machine, and the tickets of requests that wait for one.

A lease is a file in its owner's directory whose write lock a process holds. It is published
complete and already locked (by rename), and never locked again, so a dead lease stays dead. Only
reservations and amendments need no holder (core/lease.py).

Safety rests on publish-then-verify, not on the lock file: an acquire publishes, scans again, and
withdraws on any conflict. Two rivals cannot both miss the other, because each published before it
scanned. The lock file only keeps rivals from colliding; without it everything is slower and still
correct.

A ticket is a file of the same kind: a place in the line that ends with the process that waits.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.amendments import amended
from genvx.core.claim import Owner
from genvx.core.environments import meant
from genvx.core.text import printable
from genvx.core.ticket import Ticket
from genvx.core.value import value
from genvx.core.wire import ticketfiles
from genvx.core.wire.plain import Malformed
from genvx.errors import NotOwner, StateError, UnknownEnvironment
from genvx.local import processes
from genvx.local.state import heldfile, locks
from genvx.local.state.directory import StateDirectory, saying, state_error
from genvx.local.state.heldfile import OPENED, TEMPORARY, HeldFile
from genvx.local.state.kinds import CLAIMS, LEASE, TICKET, Kind, of_name, suffixes
from genvx.local.state.lockfile import TIMEOUT, LockFile
from genvx.local.state.userdirectory import MOST_OF_A_KIND, OWNERS_DOING, UserDirectory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from genvx.core.lease import Lease

# How often to scan again for a complete listing. Under constant churn there may never be one;
# safety does not depend on it.
_LOOKS = 3

# How long a prepared file may stay empty, until the shell that opened it asks for a lease in it.
# Later it counts as left behind.
_OPENED_SECONDS = 60.0


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


class HeldLease(HeldFile):
    """The file of a published lease whose lock this process holds."""

    def __init__(self, lease: Lease, descriptor: int, directory: int) -> None:
        super().__init__(LEASE.name(lease.id), descriptor, directory)
        self.lease = lease


class HeldTicket(HeldFile):
    """The file of a published ticket whose lock this process holds."""

    def __init__(self, ticket: Ticket, descriptor: int, directory: int) -> None:
        super().__init__(TICKET.name(ticket.id), descriptor, directory)
        self.ticket = ticket
        self._data = TICKET.write(ticket)

    def attend(self, now_ns: int) -> None:
        """Record that the ticket's holder is still looking."""
        with saying("keep the place in the line"):
            # In place and at a fixed width, so that no reader sees half a time, and the lock stays.
            os.pwrite(self.descriptor, *ticketfiles.seen_in_ticket(self._data, now_ns))


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
        self._state = state
        self._lock_timeout = lock_timeout
        self._most = most

    # Reading

    def scan(self, *, reap: bool = False) -> Scan:
        """Find all living leases of all users. Never raises because of what a user put there.

        reap: whether to delete dead files on the way, as far as they are ours to delete.

        Raises:
            StateError: something could not be read, for a reason that its owner has not caused.
        """
        for _ in range(_LOOKS):
            found, whole = self._scan(reap)
            if whole:
                break
        return found

    def _scan(self, reap: bool) -> tuple[Scan, bool]:
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
        for user in self._state.users(odd):
            owner: Optional[Owner] = None
            missed = False
            for name in self._lease_names(user, odd):
                owner = owner or processes.owner_of(user.uid)
                try:
                    found, held = _read(user, name, owner)
                except Malformed as error:
                    odd.append(printable(f"{user.name}/{name}: {error}", 300))
                    continue
                except FileNotFoundError:
                    missed = True
                    continue
                except OSError as error:
                    if error.errno not in OWNERS_DOING:
                        raise state_error(
                            error, f"read {printable(self._path(user, name))}"
                        ) from None
                    odd.append(printable(f"{user.name}/{name}: {error.strerror}", 300))
                    continue
                if isinstance(found, Ticket):
                    tickets.append(found)
                elif found is not None and found.counts(held=held, boot_id=boot, now_ns=now):
                    (amendments if found.amends else leases).append(found)
                elif reap and not held and self._state.uid in (0, user.uid):
                    # Held beyond its time it stays: to its keeper a missing file means released.
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=user.descriptor)
            if missed:
                missing.add(user.uid)
        if reap and amendments:
            # Not if a file of the user was missed: it may be of the process that now holds the
            # environment.
            living = {lease.key for lease in leases}
            self.remove(
                each
                for each in amendments
                if each.key not in living and each.owner.uid not in missing
            )
        scan = Scan(
            amended(leases, amendments), tuple(odd[:1000]), tuple(tickets), tuple(amendments)
        )
        return scan, not missing

    def _path(self, user: UserDirectory, name: str = "") -> str:
        return os.path.join(self._state.root, user.name, name)

    def _lease_names(self, user: UserDirectory, odd: list[str]) -> list[str]:
        try:
            names, whole = user.names(suffixes(CLAIMS))
        except OSError as error:
            if error.errno not in OWNERS_DOING:
                raise state_error(error, f"read {self._path(user)}") from None
            return []
        if not whole:
            odd.append(f"{user.name}: more files than are looked at; the rest is ignored")
        return names

    def is_held(self, lease: Lease) -> bool:
        """Whether a process holds a lease just now; True if unknown."""
        for user in self._state.users():
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
        return LockFile(self._state, self._lock_timeout).taken(notes)

    def publish(self, lease: Lease, *, through: Optional[int] = None) -> HeldLease:
        """Publish a lease of one's own, complete and already locked.

        through: a descriptor of a file that `prepare` has made; the lease then has that file's id.

        Raises:
            StateError: the state cannot be written; nothing was published.
        """
        data = LEASE.write(lease)
        try:
            # What others cannot read would count for nothing, and its devices would be given twice.
            LEASE.read(data, owner=lease.owner, identifier=lease.id)
        except Malformed as error:
            raise StateError(f"a fault of genvx: a lease that nobody could read: {error}") from None
        held = HeldLease(lease, *self._publish(lease.id, LEASE, data, through))
        if lease.amends:
            self._state.tell_former()
        return held

    def prepare(self) -> str:
        """Make an empty file through which a shell can hold a lease; return its path.

        Shells cannot be passed a descriptor, but can open a file. After a minute without a lease
        the file counts as left behind.
        """
        identifier = f"{processes.boottime_ns() // 10**9:08x}{os.urandom(8).hex()}"
        with saying(f"write a lease in {self._state.root}"), self._state.own() as directory:
            return os.path.join(
                self._state.path_of(directory), heldfile.prepare(identifier, directory)
            )

    def queue(self, ticket: Ticket) -> HeldTicket:
        """Take a place in the line, as `publish` does."""
        return HeldTicket(ticket, *self._publish(ticket.id, TICKET, TICKET.write(ticket)))

    def _publish(
        self, identifier: str, kind: Kind, data: bytes, through: Optional[int] = None
    ) -> tuple[int, int]:
        """Publish a file; return its descriptor and that of its directory."""
        with saying(f"write a lease in {self._state.root}"), self._state.own() as directory:
            self._tidy(directory)
            return heldfile.publish(identifier, kind, data, directory, through)

    def _tidy(self, directory: int) -> None:
        """Delete half-made files that were left in one's own directory; refuse a flood.

        A file that a living process is making may be taken for dead before it is locked; its maker
        notices, and starts again. Dead leases are not deleted here: the caller has scanned just
        before.
        """
        user = self._state.own_directory(directory)
        known = suffixes(CLAIMS)
        names, whole = user.names((*known, TEMPORARY, OPENED), 8 * MOST_OF_A_KIND)
        if not whole or sum(name.endswith(known) for name in names) >= self._most:
            raise StateError(
                f"you have {self._most} leases, places in lines and files of junk in "
                f"{self._state.path_of(directory)}, and more might not be seen; release what you "
                "do not need, and delete junk there"
            )
        for name in names:
            if name.endswith((TEMPORARY, OPENED)):
                with contextlib.suppress(OSError, Malformed):  # not proved dead
                    if name.endswith(OPENED) and _was_asked_for_now(name):
                        continue
                    if not _read(user, name, Owner(user.uid, ""))[1]:
                        os.unlink(name, dir_fd=directory)

    def releasable(self, environment: str) -> tuple[Lease, ...]:
        """Return the living leases of an environment that we may release: our own, or for root all.

        environment: its id or its name.

        Raises:
            UnknownEnvironment: there is none, or the name fits several.
            NotOwner: it is another user's.
        """
        living = self.scan().leases
        key = meant((e for e in living if e.owner.uid == self._state.uid), environment)
        # Our own first: root may have an environment of the same name as somebody else.
        if key is None and self._state.uid == 0:
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

    def unpublish(self, leases: Sequence[Lease]) -> None:
        """Delete the files of leases, whether a process holds them or not.

        Raises:
            StateError: one of them cannot be deleted.
        """
        for user in self._state.users():
            for lease in leases:
                if lease.owner.uid == user.uid:
                    try:
                        os.unlink(LEASE.name(lease.id), dir_fd=user.descriptor)
                    except FileNotFoundError:
                        pass  # ended by itself meanwhile, or in the user's other directory
                    except OSError as error:
                        raise state_error(error, f"remove a lease of {lease.owner}") from None

    def remove(self, leases: Iterable[Lease]) -> None:
        """Delete the files of leases that no longer count, as far as we may."""
        unwanted = [lease for lease in leases if self._state.uid in (0, lease.owner.uid)]
        if not unwanted:
            return
        for user in self._state.users():
            for lease in unwanted:
                if lease.owner.uid == user.uid:
                    with contextlib.suppress(OSError):
                        os.unlink(LEASE.name(lease.id), dir_fd=user.descriptor)


def _was_asked_for_now(name: str) -> bool:
    """Whether a shell may soon use a prepared file: its name begins with the time of its making."""
    with contextlib.suppress(ValueError):
        return 0 <= processes.boottime_ns() / 1e9 - int(name[1:9], 16) < _OPENED_SECONDS
    return False


def _read(user: UserDirectory, name: str, owner: Owner) -> tuple[Union[Lease, Ticket, None], bool]:
    """Read the lease or ticket in a file, and whether it is held; None if it is dead.

    Raises:
        Malformed: alive, but neither a lease nor a ticket. OSError: it cannot be opened, or is no
        regular file of its user.
    """
    content = heldfile.read(user, name)
    named = of_name(name, CLAIMS)
    if not content.held and (named is None or not named[0].outlives(content.data)):
        return None, False
    if named is None:
        raise Malformed("not the name of a lease")
    if content.held and not content.for_all:
        raise Malformed("others cannot read it")  # and would grant its devices again
    kind, identifier = named
    try:
        return kind.read(content.data, owner=owner, identifier=identifier), content.held
    except Malformed:
        if content.held:
            raise
        return None, False
