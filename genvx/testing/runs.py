"""What a FakeHost can be asked about its runs."""

from __future__ import annotations

import re
import signal
from itertools import islice
from typing import TYPE_CHECKING

from genvx._version import __version__
from genvx.core.runs.run import End, require_tags
from genvx.core.runs.runinfo import LogPiece, RunInfo
from genvx.core.runs.runselect import chosen, find, require_waiting
from genvx.core.runs.runstate import (
    Held,
    Running,
    Stopped,
    StopReason,
    Waiting,
    end_of,
    is_over,
    name_of,
    settled,
)
from genvx.core.text import require_name
from genvx.core.value import replace
from genvx.core.wire.runoperations import Disposal, LogEnd, RunDetails
from genvx.errors import InvalidInput, StateError, TreeMissing
from genvx.testing.shelf import FakeShelf, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.wire.runoperations import (
        DisposeOfRun,
        FindRuns,
        ListRuns,
        LogNews,
        MarkRun,
        ShowRun,
        StopRun,
        SubmitRun,
        WatchRun,
        WithdrawRun,
    )

_LOOK = 0.005


class FakeRuns(FakeShelf):
    """FakeRuns are the runs of a fake host; a method for each question about them."""

    def submit(self, asked: SubmitRun) -> RunInfo:
        """Start a run, or have it wait; return it as it was accepted."""
        require_tags(asked.tags)
        project, python = asked.spec.project, asked.spec.python
        if project is not None and project.tree not in self.trees:
            raise TreeMissing("the code of the run is not here")
        if python is not None and python.needs and python.needs not in self.trees:
            raise TreeMissing("the requirements of the run are not here")
        name = self._machine.name
        patience = asked.spec.patience if asked.patience is None else asked.patience
        spec = replace(
            asked.spec,
            machine="fake",
            host=name,
            submitted=now(),
            version=__version__,
            patience=patience,
        ).stored
        with self._lock:
            if spec.id in self._records:
                raise StateError(f"there is a run {spec.id} already")
            self._diffs[spec.id] = b"" if project is None else project.diff
            self._notifiers[spec.id] = asked.spec.notifiers
            return self._begin(spec, asked.patience, asked.tags)

    def listed(self, asked: ListRuns) -> tuple[RunInfo, ...]:
        """List the newest runs that match."""
        found = (run for run in self._all(asked.deleted) if asked.narrowed.matches(run))
        return tuple(islice(found, asked.most))

    def found(self, asked: FindRuns) -> tuple[RunInfo, ...]:
        """List the runs that may be meant; an id also means a run in the trash."""
        meant = chosen(asked.wanted)
        with self._lock:
            runs = self._all(asked.deleted)
            if meant.count is not None:
                return tuple(runs[: meant.count])
            if asked.wanted in self._records:
                return (self._records[asked.wanted].info,)
        return tuple(run for run in runs if meant.matches(run))

    def shown(self, asked: ShowRun) -> RunDetails:
        """Show one run."""
        with self._lock:
            record = self._record(asked.run)
            start = _start_of_last_lines(record.log, asked.lines)
            tail = record.log[start:].decode("utf-8", "replace")
            place = f"/fake/{record.info.id}"
            work = record.info.spec.cwd or f"{place}/work"
            diff = self._diffs[record.info.id] if asked.diff else b""
            project = record.info.spec.project
            tree = self.trees[project.tree] if asked.files and project is not None else None
            files = b"" if tree is None else tree.to_bytes()
            told = self._notifiers[record.info.id] if asked.notifiers else ()
            return RunDetails(record.info, place, tail, work, diff, files, told)

    def stop(self, asked: StopRun) -> RunInfo:
        """End a run; return it as it was."""
        with self._lock:
            record = self._record(asked.run)
            before = record.info
            state = before.state
            if isinstance(state, Held):
                self._over(record, settled(state.end, now()))
            elif not is_over(state):
                end = None
                if isinstance(state, Running):
                    number = signal.SIGKILL if asked.force else signal.SIGTERM
                    end = End(state.since, now(), signal=number)
                by = self._machine.owner.uid
                self._over(record, Stopped(now(), StopReason.ASKED, by, end))
            return before

    def withdraw(self, asked: WithdrawRun) -> RunInfo:
        """Take a waiting run out of the line; return it as it is then."""
        with self._lock:
            record = self._record(asked.run)
            require_waiting(record.info)
            by = self._machine.owner.uid
            self._over(record, Stopped(now(), StopReason.MOVED, by))
            return record.info

    def mark(self, asked: MarkRun) -> RunInfo:
        """Give a run another label, or other tags."""
        require_name(asked.label or "")
        require_tags(asked.add)
        with self._lock:
            record = self._record(asked.run)
            before = record.info
            kept = [tag for tag in before.tags if tag not in asked.remove]
            tags = require_tags((*kept, *(tag for tag in asked.add if tag not in kept)))
            label = before.label if asked.label is None else asked.label
            record.info = replace(before, label=label, tags=tags)
            return record.info

    def dispose(self, asked: DisposeOfRun) -> RunInfo:
        """Move a run into the trash or out of it, or delete it for good."""
        with self._lock:
            if asked.how is Disposal.DELETE:
                run = self._record(asked.run).info
                if not is_over(run.state):
                    raise InvalidInput(
                        f"run {run.id} is {name_of(run.state)}; end it first, with runs stop"
                    )
            else:
                run = find(self._all(deleted=True), asked.run, deleted=True)
            if asked.how is Disposal.PURGE:
                del self._records[run.id]
            else:
                deleted = asked.how is Disposal.DELETE
                self._records[run.id].info = replace(run, deleted=deleted)
            return run

    def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        """Tell how a run is, and its log as it grows, to its end."""
        run = self._record(asked.run).info
        yield run
        offset = asked.offset
        if offset is None:
            offset = 0
            if asked.lines is not None:
                offset = _start_of_last_lines(self._record(run.id).log, asked.lines)
        while True:
            self._machine.require_answer()
            with self._lock:
                record = self._record(run.id)
                before, run = run, record.info
                log = record.reports if asked.reports else record.log
            if isinstance(before.state, Waiting) and run.state != before.state:
                yield run
            if asked.log and log[offset:]:
                yield LogPiece(offset, log[offset:])
                offset = len(log)
            ended = is_over(run.state) or end_of(run.state) is not None
            if ended or not asked.follow or pause(_LOOK):
                break
        yield LogEnd(run)


def _start_of_last_lines(log: bytes, lines: int) -> int:
    kept = re.findall(rb"[^\n]*\n|[^\n]+", log)[-lines:] if lines else []
    return len(log) - sum(map(len, kept))
