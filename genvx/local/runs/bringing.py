"""Bringing a run of another machine here, as a copy among the runs of this one; see copies.py."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any, Optional

from genvx.core.projects.choosing import chosen
from genvx.core.projects.manifest import DIRECTORY, shown_name, text_of
from genvx.core.projects.plan import names_of
from genvx.core.runs.runstate import Waiting, was_moved
from genvx.core.value import replace, value
from genvx.core.wire.plain import Malformed
from genvx.core.wire.runcodec import PULLED, SPEC, STATE
from genvx.core.wire.tables import Table, strings
from genvx.errors import InvalidInput, UnknownRun
from genvx.local.runs.copies import PULLED_FILE, is_copy, read_copy
from genvx.local.runs.places import WORK, name_in, runs_root
from genvx.local.runs.record import SPEC_FILE, STATE_FILE, Marks
from genvx.local.runs.shelf import RunShelf
from genvx.local.runs.taking import require_files_of_run
from genvx.local.trees.landing import Landing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.projects.manifest import Manifest
    from genvx.core.projects.plan import Known
    from genvx.core.runs.pulled import Pulled
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.runs.runstate import RunState
    from genvx.local.runs.record import RunDirectory

_BROUGHT = "brought"
_LONGEST_NAME, _MOST_NAMES = 4096, 2_000_000


@value
class _Brought:
    """The names of files that were copied."""

    names: tuple[str, ...] = ()


_BROUGHT_TABLE = Table(_Brought, "brought", names=strings(_LONGEST_NAME, _MOST_NAMES))


class _CopiedState:
    """How the state of a copy is written: it is none of this boot."""

    def write(self, state: RunState) -> dict[str, Any]:
        return {**STATE.write(state), "boot_id": ""}

    def read(self, plain: Any) -> RunState:
        return STATE.read(plain)


class Copy:
    """A copy of a run of another machine, to which its files come; as a context.

    run: as its host has shown it, before its files were asked for. pulled: where it comes from.

    Raises:
        InvalidInput: the run is one of this machine, or a copy of it is in the trash. StateError:
        it cannot be written.
    """

    def __init__(self, environ: Mapping[str, str], run: RunInfo, pulled: Pulled) -> None:
        self._environ = environ
        self._run = run
        self._pulled = pulled
        self._shelf = RunShelf(runs_root(environ))
        self.path = os.path.join(self._shelf.root, name_in(run.spec))
        self._directory: Optional[RunDirectory] = None

    def __enter__(self) -> Copy:
        if was_moved(self._run.state):
            raise InvalidInput(
                f"run {self._run.label_or_id} has moved from {self._pulled.host}, and none of the "
                "hosts that were asked has it"
            )
        name = name_in(self._run.spec)
        try:
            self._directory = self._shelf.open(name)
        except UnknownRun:
            self._directory = self._shelf.make(name)
        try:
            self._require_copy(self._directory)
        except BaseException:
            self._directory.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._directory is not None:
            self._directory.close()

    def begin(self) -> None:
        """Write what the host has shown; until `finish`, the copy is not whole."""
        directory = self._opened
        marks = directory.marks()
        with contextlib.suppress(Malformed):
            before = directory.read(PULLED_FILE, PULLED)
            # What somebody has called the copy since stays.
            if (marks.label, marks.tags) == (before.label, before.tags):
                marks = Marks()
        if marks == Marks():
            marks = Marks(self._run.label, self._run.tags)
        directory.write(PULLED_FILE, PULLED, replace(self._pulled, whole=False))
        directory.write(SPEC_FILE, SPEC, self._run.spec)
        directory.write(STATE_FILE, _CopiedState(), self._run.state)
        directory.write_marks(marks)
        os.close(directory.create_log())  # a run that waits has none yet
        # By its age runs are sorted; of a clock that is ahead, not by what is to come.
        age = min(self._run.spec.submitted.epoch_ns, time.time_ns())
        with contextlib.suppress(OSError):
            os.utime(os.path.join(self.path, SPEC_FILE), ns=(age, age), follow_symlinks=False)

    def landing(self, *, only_say: bool = False) -> Landing:
        """Where its files come to."""
        check = require_files_of_run if only_say else self._expect
        return Landing(self.path, self._environ, only_say=only_say, check=check)

    def unwanted(self, known: Known) -> list[bytes]:
        """What was copied, and the run does not have any more."""
        only = self._pulled.only
        return [
            name
            for name in self._brought()
            if known.names.get(name.rstrip(b"/")) is not name.endswith(b"/")
            and not known.spares(name)
            and (not only or chosen(name.partition(b"/")[2], only))
        ]

    def finish(self, gone: Iterable[bytes] = ()) -> None:
        """All has come. gone: what was deleted."""
        if gone:
            self._write_brought(set(self._brought()) - set(gone))
        self._opened.write(PULLED_FILE, PULLED, self._pulled)

    @property
    def _opened(self) -> RunDirectory:
        assert self._directory is not None, "it is a context"
        return self._directory

    def _require_copy(self, directory: RunDirectory) -> None:
        run = self._run
        if directory.deleted:
            raise InvalidInput(
                f"run {run.label_or_id} is in the trash here; genvx runs restore {run.id} takes it "
                f"out, genvx runs purge {run.id} deletes it"
            )
        before = read_copy(directory)
        if before is None and not is_copy(directory) and os.listdir(directory.path):
            raise InvalidInput(
                f"run {run.label_or_id} is on this machine already, in "
                f"{shown_name(os.fsencode(self.path))}; give DEST to copy its files"
            )
        if before is None or before.pulled is None or before.pulled.host == self._pulled.host:
            return
        # A run moves while it waits, and never after that.
        if not isinstance(before.state, Waiting) and not was_moved(before.state):
            raise InvalidInput(
                f"run {run.id} here is a copy from {before.pulled.host}, and this one is from "
                f"{self._pulled.host}; genvx runs delete {run.id} makes room"
            )

    def _expect(self, manifest: Manifest) -> None:
        """Check what is to come: nothing in it may become a part of the record."""
        require_files_of_run(manifest)
        below = WORK.encode() + b"/"
        new = {
            each.name + b"/" if each.kind == DIRECTORY else each.name
            for each in manifest.entries
            if each.name.startswith(below)
        }
        self._write_brought(new.union(self._brought()))

    def _brought(self) -> list[bytes]:
        with contextlib.suppress(Malformed):
            names = names_of(self._opened.read(_BROUGHT, _BROUGHT_TABLE).names)
            return [name for name in names if name.startswith(WORK.encode() + b"/")]
        return []

    def _write_brought(self, names: Iterable[bytes]) -> None:
        found = _Brought(tuple(map(text_of, sorted(names))))
        self._opened.write(_BROUGHT, _BROUGHT_TABLE, found)
