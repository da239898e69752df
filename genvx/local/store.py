"""The leases of one machine, and the only door to filelock.

A lease is a file in its owner's directory whose write lock somebody holds. It is published complete
and already locked (by rename), and never locked again, so what is once dead stays dead.

Safety rests on publish-then-verify, not on the lock file: whoever acquires publishes, looks again,
and withdraws on any conflict. Two rivals cannot both miss the other: each published before it
looked. The lock file only keeps rivals from colliding; without it everything is slower and still
right.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Optional

from genvx.core.codec import lease_from_file, lease_to_file
from genvx.core.fields import Malformed
from genvx.core.lease import Lease, Owner
from genvx.core.record import dataclass
from genvx.core.text import is_identifier, printable
from genvx.errors import NotOwner, StateError, UnknownEnvironment
from genvx.local import locks, processes
from genvx.local.state import OWNERS_DOING, StateDirectory, UserDirectory, saying, state_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    import filelock

LOCK_TIMEOUT = 5.0
_LOCK_POLL = 0.005

_MOST_BYTES = 4096
# Of one user. A flood of junk costs everybody a bounded time, and hides nobody's leases but the
# flooder's own.
_MOST_ENTRIES = 256

# Where files come and go all the time, a look that misses none may never be had; what is safe does
# not rest on it.
_LOOKS = 3

_SUFFIX = ".lease"
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def filelock_version() -> Optional[str]:
    """The version of the filelock that acquires use here; None if this Python cannot import it."""
    try:
        import filelock
    except ImportError:
        return None
    return str(getattr(filelock, "__version__", "0"))


@dataclass(frozen=True)
class Scan:
    """What a look at the state found: the living leases, and files that count for nothing
    and why.
    """

    leases: tuple[Lease, ...]
    odd: tuple[str, ...]


class HeldLease:
    """A published lease whose lock this process holds.

    The lease lives while any copy of `descriptor` is open.
    """

    def __init__(self, lease: Lease, descriptor: int, directory: int) -> None:
        self.lease = lease
        self.descriptor = descriptor
        self._directory = directory

    def withdraw(self) -> None:
        """Unpublish and let go.

        Twice is once. Copies of the descriptor in other processes no longer matter.

        Raises:
            StateError: it cannot be unpublished, and such copies keep it alive.
        """
        if self.descriptor < 0:
            return
        why: Optional[OSError] = None
        try:
            os.unlink(self.lease.id + _SUFFIX, dir_fd=self._directory)
        except FileNotFoundError:
            pass  # released by id from elsewhere
        except OSError as error:
            why = error
        self._let_go(unpublish=False, why=why)

    def leave(self) -> None:
        """Let go; unpublish unless another process, such as a background job, has the
        descriptor.
        """
        if self.descriptor >= 0:
            self._let_go(unpublish=True)

    def _let_go(self, *, unpublish: bool, why: Optional[OSError] = None) -> None:
        """Close our descriptors. A file that nobody holds is dead, and may lie until it is reaped.

        why: what kept the file from being unpublished.
        """
        descriptor, directory = self.descriptor, self._directory
        self.descriptor = self._directory = -1
        os.close(descriptor)
        try:
            if (unpublish or why is not None) and self._lives_on(directory) and why is not None:
                raise state_error(why, "release what other processes hold, too") from None
        finally:
            os.close(directory)

    def _lives_on(self, directory: int) -> bool:
        """Whether others hold the lease, or may; deletes its file if not."""
        name = self.lease.id + _SUFFIX
        try:
            descriptor = os.open(name, _OPEN_FILE, dir_fd=directory)
        except FileNotFoundError:
            return False  # released by id from elsewhere
        except OSError:
            return True  # not proved dead
        try:
            held = locks.is_held(descriptor)
        except OSError:
            held = True
        finally:
            os.close(descriptor)
        if not held:
            with contextlib.suppress(OSError):  # dead, and reaped by whoever can
                os.unlink(name, dir_fd=directory)
        return held


class LeaseStore:
    """The leases below one state directory. Reading takes no lock and needs no write permission."""

    def __init__(self, state: StateDirectory, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self._state = state
        self._lock_timeout = lock_timeout

    # Reading

    def scan(self, *, reap: bool = False) -> Scan:
        """Find all living leases of all users. Never raises for what a user put there.

        reap: delete the dead ones that are ours to delete on the way.

        Raises:
            StateError: something could not be read for a reason that is not its owner's doing.
        """
        for _ in range(_LOOKS):
            found, whole = self._scan(reap)
            if whole:
                break
        return found

    def _scan(self, reap: bool) -> tuple[Scan, bool]:
        """One look; False if a file was gone when its turn came.

        An environment may have been handed on meanwhile, from a member whose file is gone to one
        whose file was not there yet when we listed.
        """
        leases: list[Lease] = []
        odd: list[str] = []
        whole = True
        boot = processes.boot_id()
        for user in self._state.users():
            owner: Optional[Owner] = None
            for name in self._lease_names(user, odd):
                owner = owner or processes.owner_of(user.uid)
                try:
                    lease = _read(user, name, owner, boot)
                except Malformed as error:
                    odd.append(printable(f"{user.name}/{name}: {error}", 300))
                    continue
                except FileNotFoundError:
                    whole = False
                    continue
                except OSError as error:
                    if error.errno not in OWNERS_DOING:
                        raise state_error(
                            error, f"read {printable(f'{self._state.root}/{user.name}/{name}')}"
                        ) from None
                    odd.append(printable(f"{user.name}/{name}: {error.strerror}", 300))
                    continue
                if lease is not None:
                    leases.append(lease)
                elif reap and self._state.uid in (0, user.uid):
                    with contextlib.suppress(OSError):
                        os.unlink(name, dir_fd=user.descriptor)
        leases.sort(key=lambda lease: (lease.since_ns, lease.id))
        return Scan(tuple(leases), tuple(odd[:1000])), whole

    def _lease_names(self, user: UserDirectory, odd: list[str]) -> list[str]:
        names: list[str] = []
        try:
            with os.scandir(user.descriptor) as entries:
                for count, entry in enumerate(entries):
                    if count >= _MOST_ENTRIES:
                        odd.append(
                            f"{user.name}: more than {_MOST_ENTRIES} files; the rest is ignored"
                        )
                        break
                    if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                        names.append(entry.name)
        except OSError as error:
            if error.errno not in OWNERS_DOING:
                raise state_error(error, f"read {self._state.root}/{user.name}") from None
        return names

    # Writing

    @contextlib.contextmanager
    def transaction(self, notes: list[str]) -> Iterator[None]:
        """Keep rivals out for one unit of work, if that can be had in time; go on without
        otherwise.

        notes: gets a line that says why there was no lock, and who has it.
        """
        lock = self._take_lock(notes)
        try:
            yield
        finally:
            if lock is not None:
                # Should this fail, its file is closed with the object; what was done here stands.
                with contextlib.suppress(OSError):
                    lock.release()

    def _take_lock(self, notes: list[str]) -> Optional[filelock.BaseFileLock]:
        try:
            import filelock
        except ImportError:
            # A host with an older Python than filelock wants. Publish-then-verify is all it takes.
            return None
        try:
            self._make_lock_file()
            if self._lock_is_anothers():
                return None
            lock = filelock.FileLock(
                self._state.lock_path,
                timeout=self._lock_timeout,
                poll_interval=_LOCK_POLL,
                mode=0o666,
                thread_local=False,
                fallback_to_soft=False,
                preserve_lock_file=True,
            )
            lock.acquire()
            return lock
        except filelock.Timeout:
            why = f"{self._lock_holder()} has held it for {self._lock_timeout:g} s"
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            why = f"{printable(reason, 100)}; 'genvx doctor' tells more"
        notes.append(f"went on without the lock {self._state.lock_path}: {why}")
        return None

    def _make_lock_file(self) -> None:
        """Create the lock file for everybody, whatever our umask, or leave the one that is there.

        filelock must not create it: two users who come first at once get in each other's way,
        between the creation and the mode. A link appears complete or not at all.
        """
        path = self._state.lock_path
        if os.path.lexists(path):
            return
        temporary = f"{path}.{os.urandom(8).hex()}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o666)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.close(descriptor)
            os.unlink(temporary)

    def _lock_is_anothers(self) -> bool:
        """Whether the lock file is of a user who could replace it under whoever holds it.

        Where nobody is root the first to come owns it. filelock rightly refuses that; for us the
        lock only spares collisions, so those who cannot have it go without, and say nothing.
        """
        if not self._state.shared:
            return False
        owner = os.stat(self._state.lock_path, follow_symlinks=False).st_uid
        return owner not in (self._state.uid, os.stat(self._state.root).st_uid)

    def _lock_holder(self) -> str:
        """Who has the lock file locked, as words."""
        try:
            status = os.stat(self._state.lock_path, follow_symlinks=False)
            wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
            with open("/proc/locks", encoding="ascii", errors="replace") as file:
                for line in file:
                    words = line.split()
                    if "->" not in words and "FLOCK" in words and wanted in words:
                        holder = processes.describe(int(words[words.index(wanted) - 1]))
                        if holder is not None:
                            user = processes.owner_of(holder.uid)
                            return f"pid {holder.pid} of {user} ({printable(holder.command, 60)})"
        except (OSError, ValueError):
            pass
        return "a process that cannot be seen from here"

    def publish(self, lease: Lease) -> HeldLease:
        """Publish a lease of one's own, complete and already locked.

        Raises:
            StateError: the state cannot be written; nothing was published.
        """
        with saying(f"write a lease in {self._state.root}"), self._state.own() as directory:
            self._reap_directory(directory)
            self._refuse_flood(directory)
            kept = os.dup(directory)  # before there is a lease that a failure would leave behind
            try:
                while True:
                    descriptor = self._publish(lease, directory)
                    if descriptor is not None:
                        return HeldLease(lease, descriptor, kept)
            except BaseException:
                os.close(kept)
                raise

    def _publish(self, lease: Lease, directory: int) -> Optional[int]:
        """Return the locked descriptor; None if a reaper took the file for dead before it was
        locked.
        """
        temporary = f".{lease.id}.tmp"
        descriptor = os.open(
            temporary,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
            dir_fd=directory,
        )
        try:
            descriptor = locks.move_up(descriptor)
            if not locks.hold(descriptor):
                raise OSError(errno.EAGAIN, "somebody else locked a file that was just created")
            data = lease_to_file(lease)
            if len(data) > _MOST_BYTES:
                raise StateError(
                    f"a lease has at most {_MOST_BYTES} bytes; use a shorter name or fewer devices"
                )
            while data:
                data = data[os.write(descriptor, data) :]
            os.fchmod(descriptor, 0o644)
            os.rename(temporary, lease.id + _SUFFIX, src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
        return descriptor

    def _refuse_flood(self, directory: int) -> None:
        with os.scandir(directory) as entries:
            if sum(1 for _ in entries) >= _MOST_ENTRIES - 8:
                raise StateError(
                    f"you have {_MOST_ENTRIES} files in {self._state.path_of(directory)}, and "
                    "more would not be seen; release what you do not need, and delete junk there"
                )

    def release(self, environment: str) -> tuple[Lease, ...]:
        """Unpublish all leases of an environment, named by id or by name; also while somebody holds
        the lock.

        Owners only, and root. Returns the leases that were living.

        Raises:
            UnknownEnvironment: there is none, or the name fits several.
            NotOwner: it is another user's.
        """
        living = self.scan().leases
        found = [lease for lease in living if environment in (lease.environment, lease.name)]
        mine = [lease for lease in found if self._state.uid in (0, lease.owner.uid)]
        own = [lease for lease in mine if lease.owner.uid == self._state.uid]
        chosen = own or mine
        if not found or not environment:
            raise UnknownEnvironment(f"no active environment {printable(environment, 60)!r} here")
        if not chosen:
            raise NotOwner(
                f"environment {printable(environment, 60)!r} belongs to {found[0].owner}; "
                "only its owner and root can release it"
            )
        keys = sorted({lease.key for lease in chosen})
        if len(keys) > 1:
            ids = ", ".join(identifier for _, identifier in keys)
            raise UnknownEnvironment(
                f"several environments are named {printable(environment, 60)!r}; give the id: {ids}"
            )
        for user in self._state.users():
            for lease in chosen:
                if lease.owner.uid == user.uid:
                    try:
                        os.unlink(lease.id + _SUFFIX, dir_fd=user.descriptor)
                    except FileNotFoundError:
                        pass  # ended by itself meanwhile, or in the user's other directory
                    except OSError as error:
                        raise state_error(error, f"remove a lease of {lease.owner}") from None
        return tuple(chosen)

    def _reap_directory(self, directory: int) -> None:
        """Delete what is dead in a directory of one's own.

        A half-made file that was not locked yet may be taken for dead: its maker notices, and
        starts again.
        """
        boot = processes.boot_id()
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries]
        uid = os.fstat(directory).st_uid
        for name in names:
            if not name.endswith((_SUFFIX, ".tmp")):
                continue
            try:
                lease = _read(UserDirectory(uid, directory, ""), name, Owner(uid, ""), boot)
            except OSError:
                continue  # not a file that can be opened: not proved dead
            except Malformed:
                continue  # alive and odd, for its owner to see
            if lease is None:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=directory)


def _read(user: UserDirectory, name: str, owner: Owner, boot: str) -> Optional[Lease]:
    """The lease in a file if it is alive, None if it is dead.

    Raises:
        Malformed: alive, but not a lease. OSError: it cannot be opened, or is no regular file of
        its user.
    """
    descriptor = os.open(name, _OPEN_FILE, dir_fd=user.descriptor)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Malformed("not a regular file")
        held = locks.is_held(descriptor)
        if status.st_uid != user.uid:
            raise Malformed(f"a file of uid {status.st_uid}, not of the directory's owner")
        if status.st_size > _MOST_BYTES:
            if not held:
                return None
            raise Malformed(f"more than {_MOST_BYTES} bytes")
        data = os.pread(descriptor, _MOST_BYTES, 0)
        if not held and b'"expires_boottime_ns":null' in data:
            return None  # dead, whatever it says
        identifier = name[: -len(_SUFFIX)]
        if held and not (name.endswith(_SUFFIX) and is_identifier(identifier)):
            raise Malformed("not the name of a lease")
        try:
            lease = lease_from_file(data, owner=owner, identifier=identifier)
        except Malformed:
            if held:
                raise
            return None
        if held or _runs(lease, boot):
            return lease
        return None
    finally:
        os.close(descriptor)


def _runs(lease: Lease, boot: str) -> bool:
    """Whether a lease that nobody holds lives by its time: same boot, and not expired."""
    return (
        lease.expires_ns is not None
        and bool(boot)
        and lease.boot_id == boot
        and processes.boottime_ns() < lease.expires_ns
    )
