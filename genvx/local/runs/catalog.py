"""The runs of one's own on this machine, as they are: found, shown, stopped, marked and deleted."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Optional

from genvx.core.runs.run import require_tags
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import Filter, chosen, find
from genvx.core.runs.runstate import (
    LIVE,
    OVER,
    LossReason,
    Lost,
    Signs,
    StopReason,
    is_over,
    name_of,
    shown,
)
from genvx.core.text import require_name
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput, NotOwner, StateError, UnknownEnvironment, UnknownRun
from genvx.local import facts, processes, signals
from genvx.local.running.notices import run_over
from genvx.local.runs import lock, logs
from genvx.local.runs.copies import is_copy, read_copy
from genvx.local.runs.places import is_name, name_in, runs_root, shown_path
from genvx.local.runs.record import Marks, StopRequest
from genvx.local.runs.reports import last_report
from genvx.local.runs.shelf import RunShelf

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.runs.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.runs.record import RunDirectory

# So long a run may be without a state before its supervisor is taken for dead: it has this long to
# say that it waits or runs.
_BEGINNING_NS = 60 * 10**9
_MOST_TAIL = 64 * 1024


class RunCatalog:
    """The runs of the user that we are. Nothing of it is kept from one question to the next."""

    def __init__(self, host: Machine) -> None:
        self._host = host
        self._shelf = RunShelf(runs_root(host.environ))
        self._machine = facts.machine_id()

    # Finding

    def newest(
        self, narrowed: Filter, most: int, *, deleted: bool = False, copies: bool = False
    ) -> list[RunInfo]:
        """At most so many runs that match, the newest first; deleted: of those in the trash.
        copies: also copies of runs of other machines.
        """
        signs = self._signs()
        names = self._shelf.newest(deleted=deleted, since_ns=narrowed.since_epoch_ns)
        if not copies and narrowed.states and set(narrowed.states) <= set(LIVE):
            alive = signs.supervised | signs.held
            names = (name for name in names if name.partition(".")[0] in alive)
        found = (
            self._run(name, signs, lambda each: _may_match(each, narrowed), copies=copies)
            for name in names
        )
        return list(islice((run for run in found if run and narrowed.matches(run)), most))

    def candidates(
        self, wanted: str, *, deleted: bool = False, others: bool = False, copies: bool = False
    ) -> list[RunInfo]:
        """Return the runs here that fit what was typed, the newest first.

        Other hosts may have more. A whole id also fits a run in the trash. deleted: only runs in
        the trash. others: for root, also the living runs of others if none of root's fits. copies:
        also copies of runs of other machines; of a run on several hosts, those of all its parts.

        Raises:
            NotOwner: it is the id of a living run of another user.
        """
        meant = chosen(wanted)
        signs = self._signs()
        if meant.count is not None:
            names = self._shelf.newest(deleted=deleted)
            found = (self._run(name, signs, copies=copies) for name in names)
            return list(islice((run for run in found if run), meant.count))
        if is_name(wanted):
            copied = []
            for name in (wanted, *self._shelf.parts(wanted)):
                run = self._run(name, signs, copies=copies)
                if run is not None and run.pulled is None:
                    return [run]
                copied += [] if run is None else [run]
            if copied:
                return copied
        matching = []

        def meant_by(directory: RunDirectory) -> bool:
            identifier = directory.id.partition(".")[0]
            return meant.is_beginning_of(identifier) or directory.is_called(wanted)

        for name in self._shelf.newest(deleted=deleted):
            run = self._run(name, signs, meant_by, copies=copies)
            if run is not None and meant.matches(run):
                matching.append(run)
        if matching:
            return matching
        if others and not deleted and self._host.state.uid == 0:
            from genvx.local.runs import others as of_others

            return of_others.found(self._host.state, wanted)
        self._refuse_others(wanted)
        return []

    def _refuse_others(self, wanted: str) -> None:
        for each in lock.living(self._host.state):
            if each.id == wanted and each.owner.uid != self._host.state.uid:
                raise NotOwner(f"run {wanted} is {each.owner}'s")

    def find(self, wanted: str = "") -> RunInfo:
        """The run that is meant, or a copy: see core.runselect.find and RunInfo.asked_as.

        Raises:
            UnknownRun: there is none, or several are meant. NotOwner: it is another user's.
        """
        return _the_one(self.candidates(wanted, copies=True), wanted)

    def open(self, run: RunInfo) -> RunDirectory:
        """The directory of a run. Raises UnknownRun if it was deleted meanwhile."""
        return self._shelf.open(name_in(run.spec))

    def tail(self, run: RunInfo, lines: int) -> str:
        """The last lines of its log, as text."""
        with suppress(OSError), self.open(run) as directory:
            log = directory.open_log()
            try:
                start = logs.offset_of_last_lines(log, lines)
                size = os.fstat(log).st_size
                data = os.pread(log, _MOST_TAIL, max(start, size - _MOST_TAIL))
            finally:
                os.close(log)
            return data.decode("utf-8", "replace")
        return ""

    # Acts

    def stop(self, wanted: str, grace: Optional[float] = None, *, force: bool = False) -> RunInfo:
        """Have a run end, with all that it has started; return it as it was. See `is_over`.

        grace: seconds between SIGTERM and SIGKILL, instead of those that it was started with.

        Raises:
            UnknownRun, NotOwner: as `find`. For root, also a run of another user is found, by its
            id.
        """
        try:
            run = self.find(wanted)
        except (UnknownRun, NotOwner):
            if self._host.state.uid != 0:
                raise
            from genvx.local.runs import others

            if not others.found(self._host.state, wanted):
                raise
            return others.stop(self._host.state, wanted, grace, force=force)
        run.require_here("runs stop")
        if is_over(run.state):
            return run
        state = self._host.state
        request = StopRequest(
            StopReason.ASKED, state.uid, run.spec.grace if grace is None else grace, force
        )
        with suppress(StateError), self.open(run) as directory:
            # Where that cannot be written, the signal alone asks for the same.
            directory.request_stop(request)
        found = lock.supervision_of(state, state.uid, run.id)
        if found is not None:
            supervisor = found
            signals.send(
                supervisor.pid,
                signal.SIGTERM,
                lambda: processes.starttime(supervisor.pid) == supervisor.starttime,
            )
        else:
            # Nobody supervises it: whatever holds its lease, or was started in it, is ended.
            # Imported here: only a stop needs it.
            from genvx.local.running.release import release

            grace = 0.0 if force else request.grace
            if run.spec.container is not None:
                from genvx.local.runs.container import end_unsupervised

                end_unsupervised(self._host, run.spec, grace)
            with suppress(UnknownEnvironment):
                line = run_over(run.label_or_id, f"stopped ({request.why.value})", 0.0)
                release(self._host.store, run.id, state.uid, kill=True, grace=grace, line=line)
        return run

    def mark(
        self,
        wanted: str,
        label: Optional[str] = None,
        add: tuple[str, ...] = (),
        remove: tuple[str, ...] = (),
    ) -> RunInfo:
        """Give a run another label, or other tags; None leaves the label as it is, "" removes it.

        Raises:
            InvalidInput: no label or tag can be like that. StateError: it cannot be written.
        """
        require_name(label or "")
        require_tags(add)
        run = self.find(wanted)
        with self.open(run) as directory:
            before = directory.marks()
            kept = [tag for tag in before.tags if tag not in remove]
            tags = require_tags((*kept, *(tag for tag in add if tag not in kept)))
            directory.write_marks(Marks(before.label if label is None else label, tags))
        return self.find(run.asked_as)

    def delete(self, wanted: str) -> RunInfo:
        """Move a run that is over, or a copy, into the trash.

        Raises:
            InvalidInput: it is not over.
        """
        run = self.find(wanted)
        if not is_over(run.state) and run.pulled is None:
            raise InvalidInput(
                f"run {run.id} is {name_of(run.state)}; end it first, with runs stop"
            )
        self._shelf.delete(name_in(run.spec))
        return run

    def discard(self, run: RunInfo) -> None:
        """Delete a run that never started."""
        self._shelf.discard(name_in(run.spec))

    def restore(self, wanted: str) -> RunInfo:
        """Move a run out of the trash."""
        run = self._deleted(wanted)
        self._shelf.restore(name_in(run.spec))
        return run

    def purge(self, wanted: str) -> RunInfo:
        """Delete a run in the trash for good."""
        run = self._deleted(wanted)
        self._shelf.purge(name_in(run.spec))
        return run

    def _deleted(self, wanted: str) -> RunInfo:
        return _the_one(self.candidates(wanted, deleted=True, copies=True), wanted, deleted=True)

    # Reading

    def _signs(self) -> _Living:
        state = self._host.state
        leases = self._host.store.scan().leases
        return _Living(
            frozenset(each.id for each in lock.living(state) if each.owner.uid == state.uid),
            frozenset(lease.key[1] for lease in leases if lease.key[0] == state.uid),
        )

    def _run(
        self,
        name: str,
        living: _Living,
        wanted: Callable[[RunDirectory], bool] = lambda directory: True,
        *,
        copies: bool = False,
    ) -> Optional[RunInfo]:
        """A run of this machine; None for one of another, and for what is none, or not yet.

        wanted: whether the directory is worth reading. copies: also what was copied from another.
        """
        try:
            with self._shelf.open(name) as directory:
                if not wanted(directory):
                    return None
                if is_copy(directory):
                    return read_copy(directory) if copies else None
                run = self._read(directory, living)
                if run is not None and isinstance(run.state, Lost):
                    # It may have begun after we looked who lives.
                    run = self._read(directory, self._signs())
                return run
        except (UnknownRun, StateError):
            return None

    def _read(self, directory: RunDirectory, living: _Living) -> Optional[RunInfo]:
        try:
            spec = directory.spec()
        except Malformed:
            return None
        if spec.machine != self._machine or name_in(spec) != directory.id:
            return None
        supervised, held = spec.id in living.supervised, spec.id in living.held
        try:
            written, boot = directory.state()
        except Malformed:
            age = processes.boottime_ns() - spec.submitted.boottime_ns
            if supervised or 0 <= age < _BEGINNING_NS:
                return None
            state: RunState = Lost(spec.submitted, LossReason.KILLED)
            note = "it was never accepted"
        else:
            same = boot == processes.boot_id()
            decided = None if supervised or is_over(written) else directory.decided()
            state, note = shown(written, Signs(same, supervised, held), decided)
        marks = directory.marks()
        return RunInfo(
            spec,
            state,
            note,
            marks.label,
            marks.tags,
            directory.log_bytes(),
            directory.deleted,
            shown_path(directory.path),
            None if spec.debug_port is None or is_over(state) else directory.open_port(),
            reported=last_report(directory),
        )


def _the_one(found: list[RunInfo], wanted: str, *, deleted: bool = False) -> RunInfo:
    if len(found) == 1 and wanted == found[0].asked_as:
        return found[0]
    return find(found, wanted, deleted=deleted)


def _may_match(directory: RunDirectory, narrowed: Filter) -> bool:
    """Whether a run may match, by the parts of its record that say so: among thousands of runs,
    most of the time goes into the rest.
    """
    if narrowed.tags and not set(narrowed.tags) <= set(directory.marks().tags):
        return False
    if narrowed.name is not None and not directory.is_called(narrowed.name):
        return False
    if not narrowed.states:
        return True
    word = directory.word()
    # What is alive by its record may be over by now, but not the other way round.
    return word in narrowed.states or word not in OVER


class _Living:
    """The ids of the runs whose supervisor lives, and of the environments that are held."""

    def __init__(self, supervised: frozenset[str], held: frozenset[str]) -> None:
        self.supervised = supervised
        self.held = held
