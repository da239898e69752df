"""Where the directories of one's runs are: made, found, moved to the trash and deleted."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.runstate import was_moved
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed
from genvx.errors import StateError, UnknownRun
from genvx.local.diskerror import disk_error
from genvx.local.runs.places import is_name, name_in
from genvx.local.runs.record import SPEC_FILE, RunDirectory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genvx.core.runs.run import RunSpec

_TRASH = ".trash"
_ASIDE = ".moved"
# A client writes what was asked just after it has made the directory. After this time, by the clock
# of the disk's server and ours, it was killed in between; so was one that moved a run.
_HALF_MADE_NS = 3600 * 10**9
# So much the two clocks may differ.
_SKEW_NS = 3600 * 10**9
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RunShelf:
    """The directories of one user's runs on one machine, or in a home that machines share."""

    def __init__(self, root: str) -> None:
        self.root = root

    def create(self, spec: RunSpec) -> RunDirectory:
        """The directory of a new run, with what was asked in it.

        Raises:
            StateError: it cannot be made.
        """
        name = name_in(spec)
        path = os.path.join(self.root, name)
        try:
            os.makedirs(self.root, 0o700, exist_ok=True)
            self._set_aside(name)
            os.mkdir(path, 0o700)
            directory = self._open(path, name, deleted=False)
            try:
                directory.write_spec(spec)
            except OSError:
                directory.close()
                shutil.rmtree(path, ignore_errors=True)
                raise
        except OSError as error:
            raise disk_error(error, f"make the directory of a run in {self.root}") from None
        return directory

    def make(self, name: str) -> RunDirectory:
        """The directory of a copy that is to come, empty. Raises StateError."""
        path = os.path.join(self.root, name)
        try:
            os.makedirs(self.root, 0o700, exist_ok=True)
            os.mkdir(path, 0o700)
            return self._open(path, name, deleted=False)
        except OSError as error:
            raise disk_error(error, f"make the directory of a run in {self.root}") from None

    def _set_aside(self, identifier: str) -> None:
        """Rename what a run has left here that moved away, and now comes to this directory again:
        back to its first host, or to one with the same home.
        """
        try:
            with self.open(identifier) as directory:
                state, _ = directory.state()
                if directory.deleted or not was_moved(state):
                    return
        except (UnknownRun, StateError, Malformed):
            return
        self.accepted(identifier)
        os.rename(os.path.join(self.root, identifier), self._aside(identifier))

    def accepted(self, identifier: str) -> None:
        """Delete what was set aside for a run that now waits or runs."""
        shutil.rmtree(self._aside(identifier), ignore_errors=True)

    def _aside(self, identifier: str) -> str:
        return os.path.join(self.root, f".{identifier}{_ASIDE}")

    def _tidy_aside(self, identifier: str) -> None:
        """Put back what was set aside for a run long ago, or delete it where the run came."""
        aside = self._aside(identifier)
        with contextlib.suppress(OSError):
            if is_name(identifier) and _is_old(aside):
                if os.path.lexists(os.path.join(self.root, identifier)):
                    shutil.rmtree(aside)
                else:
                    os.rename(aside, os.path.join(self.root, identifier))

    def open(self, identifier: str) -> RunDirectory:
        """The directory of a run, also of one in the trash.

        Raises:
            UnknownRun: there is none. StateError: it cannot be opened.
        """
        if is_name(identifier):
            for deleted, parent in ((False, self.root), (True, self._trash)):
                try:
                    return self._open(os.path.join(parent, identifier), identifier, deleted=deleted)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise disk_error(error, f"open {parent}/{identifier}") from None
        raise UnknownRun(f"no run {printable(identifier, 60)!r} here")

    def parts(self, identifier: str) -> list[str]:
        """The names of the directories of a gang's parts that are here, those in the trash last."""
        found = []
        for parent in (self.root, self._trash):
            with contextlib.suppress(OSError):
                names = sorted(os.listdir(parent))
                found += [each for each in names if each.startswith(f"{identifier}.")]
        return [each for each in found if is_name(each)]

    def newest(self, *, deleted: bool = False, since_ns: Optional[int] = None) -> Iterator[str]:
        """The names of the runs, the newest first; deleted: of those in the trash.

        since_ns: those that were submitted before this time may be left out. What a client that was
        killed has left half-made is deleted.

        Raises:
            StateError: the directory cannot be read.
        """
        parent = self._trash if deleted else self.root
        found, incomplete, aside = [], [], []
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    if is_name(entry.name):
                        try:
                            # Written once, when the run was submitted.
                            status = os.stat(f"{parent}/{entry.name}/{SPEC_FILE}")
                        except FileNotFoundError:
                            incomplete.append(entry.path)
                        except OSError:
                            continue
                        else:
                            found.append((status.st_mtime_ns, entry.name))
                    elif entry.name.endswith(_ASIDE):
                        aside.append(entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            raise disk_error(error, f"read {parent}") from None
        for path in incomplete:
            _tidy(path)
        for name in aside:
            self._tidy_aside(name[1 : -len(_ASIDE)])
        for written_ns, name in sorted(found, reverse=True):
            if since_ns is not None and written_ns < since_ns - _SKEW_NS:
                return
            yield name

    def discard(self, identifier: str) -> None:
        """Delete a run that was not accepted, as far as that is possible.

        What was set aside for it comes back: a run that moves is nowhere else.
        """
        if is_name(identifier):
            path = os.path.join(self.root, identifier)
            with contextlib.suppress(OSError):
                _delete(path)
            with contextlib.suppress(OSError):
                os.rename(self._aside(identifier), path)

    def delete(self, identifier: str) -> None:
        """Move a run into the trash. Raises UnknownRun or StateError."""
        self._move(identifier, self.root, self._trash)

    def restore(self, identifier: str) -> None:
        """Move a run out of the trash. Raises UnknownRun or StateError."""
        self._move(identifier, self._trash, self.root)

    def purge(self, identifier: str) -> None:
        """Delete a run in the trash for good. Raises UnknownRun or StateError."""
        path = os.path.join(self._trash, identifier)
        if not is_name(identifier) or not os.path.lexists(path):
            raise UnknownRun(f"no deleted run {printable(identifier, 60)!r} here")
        try:
            _delete(path)
        except OSError as error:
            raise disk_error(error, f"delete {path}") from None
        except RecursionError:
            raise StateError(
                f"cannot delete {path}: it has too many directories in directories; delete it by "
                "hand, with rm -rf"
            ) from None

    @property
    def _trash(self) -> str:
        return os.path.join(self.root, _TRASH)

    def _move(self, identifier: str, source: str, target: str) -> None:
        if not is_name(identifier):
            raise UnknownRun(f"no run {printable(identifier, 60)!r} here")
        try:
            os.makedirs(target, 0o700, exist_ok=True)
            os.rename(os.path.join(source, identifier), os.path.join(target, identifier))
        except FileNotFoundError:
            raise UnknownRun(f"no run {identifier!r} there to move") from None
        except OSError as error:
            raise disk_error(error, f"move run {identifier}") from None

    def _open(self, path: str, identifier: str, *, deleted: bool) -> RunDirectory:
        descriptor = os.open(path, _OPEN_DIRECTORY)
        if os.fstat(descriptor).st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
            os.close(descriptor)
            raise PermissionError(errno.EACCES, "it is another user's")
        return RunDirectory(path, identifier, descriptor, deleted=deleted)


def _tidy(path: str) -> None:
    """Delete a directory that has no run in it, if it is old and nothing is in it but what was to
    become a run's record.
    """
    with contextlib.suppress(OSError):
        if not _is_old(path):
            return
        for name in os.listdir(path):
            if name.startswith(f".{SPEC_FILE}."):
                os.unlink(os.path.join(path, name))
        os.rmdir(path)


def _is_old(path: str) -> bool:
    status = os.lstat(path)
    # By the wall clock: it may be of another boot, or of another machine.
    return time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) >= _HALF_MADE_NS


def _delete(path: str) -> None:
    """Delete a run. What was asked is the last to go: if we are killed before, it is still a run
    that can be seen, and deleted again.
    """
    if not os.path.islink(path):  # that is none of ours; rmtree says so
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                elif entry.name != SPEC_FILE:
                    os.unlink(entry.path)
    shutil.rmtree(path)
