"""The directories of sweeps on this machine: what was asked of each, its journal, and its lock.

SWEEPS/<id>/spec.json    what was asked, written once
            journal      a line of JSON for each thing that happened
            notify.json  who is told of its end, with the addresses
            lock         held by the process that runs the sweep; its pid is in it
            stop         that somebody wants the sweep to end
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.text import is_identifier, printable
from genvx.core.wire.notifiercodec import NOTIFIERS, Notifiers
from genvx.core.wire.plain import Malformed, dumps, loads
from genvx.errors import InvalidInput, StateError
from genvx.sweeps.journal import Journal
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.spec import SWEEP
from genvx.sweeps.trial import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from genvx.core.notifying.notifier import Notifier
    from genvx.sweeps.spec import SweepSpec

_SPEC, _JOURNAL, _LOCK, _STOP = "spec.json", "journal", "lock", "stop"
_NOTIFY = "notify.json"
_MOST_BYTES = 64 << 20


def sweeps_root(environ: Mapping[str, str]) -> str:
    """Return where one's sweeps are: below $XDG_DATA_HOME, else ~/.local/share."""
    data = environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):
        data = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "genvx", "sweeps")


class SweepDirectory:
    """SweepDirectory is what is stored of one sweep."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def id(self) -> str:
        """The id of the sweep."""
        return os.path.basename(self.path)

    def spec(self) -> SweepSpec:
        """Read what was asked.

        Raises:
            StateError: that cannot be read.
        """
        try:
            with open(os.path.join(self.path, _SPEC), "rb") as file:
                data = file.read(_MOST_BYTES)
            return SWEEP.read(loads(data))
        except (OSError, Malformed, InvalidInput) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise StateError(f"cannot read sweep {self.id}: {why}") from None

    def notifiers(self) -> tuple[Notifier, ...]:
        """Read who is told of its end; nobody where that cannot be read."""
        try:
            with open(os.path.join(self.path, _NOTIFY), "rb") as file:
                return NOTIFIERS.read(loads(file.read(_MOST_BYTES))).notifiers
        except (OSError, Malformed):
            return ()

    def is_named(self, name: str) -> bool:
        """Whether the sweep has this name; one that cannot be read has none."""
        try:
            return self.spec().name == name
        except StateError:
            return False

    def journal(self) -> Journal:
        """Return the journal, which is opened when something is written to it."""
        return Journal(os.path.join(self.path, _JOURNAL))

    def events(self) -> list[dict[str, Any]]:
        """Read what has happened so far."""
        return self.journal().read()

    def lock(self) -> None:
        """Become the only process that runs the sweep, until our end.

        Raises:
            StateError: another process runs it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(os.path.join(self.path, _LOCK), flags, 0o600)
        except OSError as error:
            raise StateError(f"cannot lock sweep {self.id}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise StateError(f"cannot lock sweep {self.id}: {error.strerror}") from None
            raise StateError(
                f"sweep {self.id} is run by another process; genvx sweep show {self.id} shows it"
            ) from None
        self._lock = descriptor

    def unlock(self) -> None:
        """Let another process run the sweep. A second call does nothing."""
        descriptor, self._lock = self._lock, None
        if descriptor is not None:
            os.close(descriptor)

    def why_ended(self) -> str:
        """Return why the sweep has ended, in a word; empty while it has not."""
        return Ledger.of(self.spec().goal, self.events()).ended

    def discard_unbegun(self) -> None:
        """Delete the sweep if no host has ever accepted a trial of it, or may have."""
        trials = Ledger.of(self.spec().goal, self.events()).trials.values()
        if all(trial.stage is Stage.QUEUED and not trial.losses for trial in trials):
            shutil.rmtree(self.path, ignore_errors=True)

    def write_pid(self) -> None:
        """Say in the lock, which we hold, who runs the sweep; forget requests to end it.

        Raises:
            StateError: that cannot be written.
        """
        assert self._lock is not None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode("ascii"), 0)
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.path, _STOP))
        except OSError as error:
            raise StateError(f"cannot write {self.path}/{_LOCK}: {error.strerror}") from None

    def ask_to_stop(self) -> bool:
        """Ask the process that runs the sweep to end it; return whether there is one.

        Raises:
            StateError: that cannot be written.
        """
        if not self.is_run():
            return False
        try:
            with open(os.path.join(self.path, _STOP), "wb"):
                pass
            with open(os.path.join(self.path, _LOCK), "rb") as file:
                pid = int(file.read(32) or b"0")
        except (OSError, ValueError) as error:
            raise StateError(f"cannot ask for the end of sweep {self.id}: {error}") from None
        # The lock is held, so whoever wrote its pid there lives, unless it ends just now.
        if pid > 1 and self.is_run():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        return True

    def is_to_stop(self) -> bool:
        """Whether somebody has asked for the end of the sweep."""
        return os.path.exists(os.path.join(self.path, _STOP))

    def is_run(self) -> bool:
        """Whether a process runs the sweep at this moment."""
        if self._lock is not None:
            return True
        try:
            self.lock()
        except StateError:
            return os.path.isdir(self.path)
        self.unlock()
        return False


def create(root: str, spec: SweepSpec, notifiers: tuple[Notifier, ...] = ()) -> SweepDirectory:
    """Make the directory of a new sweep, with what was asked in it. notifiers: who is told of its
    end.

    Raises:
        StateError: it cannot be made.
    """
    path = os.path.join(root, spec.id)
    try:
        os.makedirs(root, 0o700, exist_ok=True)
        os.mkdir(path, 0o700)
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}") from None
    try:
        if notifiers:
            _write(os.path.join(path, _NOTIFY), NOTIFIERS.write(Notifiers(notifiers)))
        # A sweep is there once this is: whoever is killed in between leaves no half of one.
        temporary = os.path.join(path, f".{_SPEC}")
        _write(temporary, SWEEP.write(spec))
        os.rename(temporary, os.path.join(path, _SPEC))
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise StateError(f"cannot write {path}: {error.strerror}") from None
    return SweepDirectory(path)


def _write(path: str, plain: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(dumps(plain))
        file.flush()
        os.fsync(file.fileno())


def found(root: str) -> list[SweepDirectory]:
    """Return the sweeps of this machine, the newest first."""
    stamped = []
    with suppress(FileNotFoundError):
        for name in os.listdir(root):
            with suppress(OSError):
                if is_identifier(name):
                    status = os.stat(os.path.join(root, name, _SPEC))
                    stamped.append((status.st_mtime_ns, name))
    return [SweepDirectory(os.path.join(root, name)) for _, name in sorted(stamped, reverse=True)]


def find(root: str, wanted: str) -> SweepDirectory:
    """Return the sweep that is meant: by its id, the beginning of one, its name, or a number, of
    which 1 is the newest; the newest if nothing is named.

    Raises:
        InvalidInput: there is none, or several are meant.
    """
    every = found(root)
    if not every:
        raise InvalidInput("there is no sweep; genvx sweep starts one")
    wanted = wanted or "1"
    if wanted.isascii() and wanted.isdecimal() and 0 < int(wanted) <= len(every):
        return every[int(wanted) - 1]
    meant = [each for each in every if each.id == wanted]
    meant = meant or [each for each in every if len(wanted) > 1 and each.id.startswith(wanted)]
    meant = meant or [each for each in every if each.is_named(wanted)]
    if not meant:
        raise InvalidInput(f"no sweep {printable(wanted, 60)!r}; genvx sweep list shows them")
    if len(meant) > 1:
        ids = ", ".join(each.id for each in meant[:5])
        raise InvalidInput(f"{printable(wanted, 60)!r} may be one of {ids}")
    return meant[0]
