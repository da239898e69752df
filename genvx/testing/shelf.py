"""How the runs of a FakeHost go on: nothing is executed; a script says what each command does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from genvx.core.requests.ask import Ask
from genvx.core.runs.run import End, HoldWhen, Moment, RunSpec
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import find, newest_first
from genvx.core.runs.runstate import (
    Failed,
    Held,
    LossReason,
    Lost,
    Running,
    Waiting,
    is_over,
    name_of,
    settled,
)
from genvx.core.value import replace, value
from genvx.errors import InvalidInput, NoCapacity, UnknownEnvironment, Unsatisfiable

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.leases.grant import Grant
    from genvx.core.line.ticket import Ticket
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.projects.manifest import Manifest
    from genvx.core.runs.runstate import RunState
    from genvx.testing.machine import FakeMachine


@value
class Played:
    """Played is what the command of a fake run does.

    output: what it writes. code: its exit code; None: it goes on until it is ended. reports: what
    it appends to $GENVX_REPORT.
    """

    output: bytes = b""
    code: int | None = 0
    reports: bytes = b""


class Record:
    """Record is a run, its log, and its ticket while it waits, until `patient_until`."""

    def __init__(self, info: RunInfo, ticket: Ticket | None, patient_until: float) -> None:
        self.info = info
        self.log = b""
        self.reports = b""
        self.ticket = ticket
        self.patient_until = patient_until


class FakeShelf:
    """FakeShelf has the runs of a fake host, in memory. Several threads may use it at once.

    script: called with what was asked for, says what its command does.
    """

    def __init__(self, machine: FakeMachine, script: Callable[[RunSpec], Played]) -> None:
        self.script = script
        self._machine = machine
        self._records: dict[str, Record] = {}
        self.trees: dict[str, Manifest | None] = {}
        self._diffs: dict[str, bytes] = {}
        self._notifiers: dict[str, tuple[Notifier, ...]] = {}
        self._lock = threading.RLock()

    # What a test does to a run

    def write(self, run: str, data: bytes) -> None:
        """Have the command of a run write something."""
        with self._lock:
            self._record(run).log += data

    def report(self, run: str, line: bytes) -> None:
        """Have the command of a run report a line."""
        with self._lock:
            self._record(run).reports += line + b"\n"

    def end(self, run: str, code: int = 0) -> None:
        """Have the command of a run end with an exit code.

        Raises:
            InvalidInput: it does not run.
        """
        with self._lock:
            record = self._record(run)
            if not isinstance(record.info.state, Running):
                raise InvalidInput(f"run {run} is {name_of(record.info.state)}")
            self._ended(record, code)

    def lose(self, run: str) -> None:
        """Have a run end without anybody knowing how, as when its host is started anew."""
        with self._lock:
            record = self._record(run)
            if not is_over(record.info.state):
                self._over(record, Lost(record.info.state.since, LossReason.REBOOT))

    # How runs go on

    def advance(self) -> None:
        """Start what has waited and has room now, and end what has waited too long."""
        with self._lock:
            for record in list(self._records.values()):
                if record.ticket is not None:
                    self._take_turn(record, record.ticket)
                elif isinstance(record.info.state, Held) and not self._has_devices(record):
                    self._over(record, settled(record.info.state.end, now()))

    def _begin(self, spec: RunSpec, patience: float | None, tags: tuple[str, ...]) -> RunInfo:
        """Take devices for a new run, or a place in line; return it as it was accepted."""
        ask = _ask_of(spec)
        run = RunInfo(spec, Waiting(now(), 1), tags=tags, directory=f"/fake/{spec.id}")
        try:
            grant = self._machine.grant(ask)
        except Unsatisfiable:
            raise
        except NoCapacity:
            if patience is None:
                raise
            ticket = self._machine.line_up(ask)
            record = Record(run, ticket, time.monotonic() + patience)
            self._records[spec.id] = record
            self._take_turn(record, ticket)
            return record.info
        record = Record(replace(run, state=_running(grant)), None, 0.0)
        self._records[spec.id] = record
        accepted = record.info
        self._play(record)
        return accepted

    def _take_turn(self, record: Record, ticket: Ticket) -> None:
        standing = self._machine.standing_of(ticket)
        spec = record.info.spec
        if standing is not None:
            if time.monotonic() < record.patient_until:
                since = record.info.state.since
                self._put(record, Waiting(since, standing.place, standing.reason))
            else:
                why = f"{spec.requirements} not free: {standing.reason}"
                self._over(record, Failed(now(), why=why))
            return
        self._leave_line(record)
        try:
            grant = self._machine.grant(_ask_of(spec))
        except NoCapacity as error:
            self._over(record, Failed(now(), why=str(error)))
            return
        self._put(record, _running(grant))
        self._play(record)

    def _play(self, record: Record) -> None:
        played = self.script(record.info.spec)
        record.log += played.output
        record.reports += played.reports
        if played.code is not None:
            self._ended(record, played.code)

    def _ended(self, record: Record, code: int) -> None:
        spec, state = record.info.spec, record.info.state
        assert isinstance(state, Running), "only a command that runs ends"
        if code and state.attempt <= spec.retries:
            self._put(record, replace(state, attempt=state.attempt + 1))
            self._play(record)
            return
        end = End(state.since, now(), code=code)
        if spec.hold is not None and (code or spec.hold_when is HoldWhen.ALWAYS):
            kept = spec.hold * 10**9
            until = Moment(end.ended.epoch_ns + kept, end.ended.boottime_ns + kept)
            self._put(record, Held(end.ended, until, end))
        else:
            self._over(record, settled(end, now()))

    def _over(self, record: Record, state: RunState) -> None:
        self._put(record, state)
        self._leave_line(record)
        try:
            self._machine.let_go(record.info.id)
        except UnknownEnvironment:
            pass  # it had no devices yet, or somebody has released them
        self.advance()

    def _has_devices(self, record: Record) -> bool:
        try:
            self._machine.grant_of(record.info.id)
        except UnknownEnvironment:
            return False
        return True

    def _leave_line(self, record: Record) -> None:
        ticket, record.ticket = record.ticket, None
        if ticket is not None:
            self._machine.leave_line(ticket)

    def _put(self, record: Record, state: RunState) -> None:
        record.info = replace(record.info, state=state)

    # Looking

    def _record(self, wanted: str) -> Record:
        with self._lock:
            if wanted not in self._records:
                wanted = find(self._all(), wanted).id
            self.advance()
            return self._records[wanted]

    def _all(self, deleted: bool = False) -> list[RunInfo]:
        """Return the runs, the newest first; deleted: those in the trash."""
        with self._lock:
            self.advance()
            for record in self._records.values():
                record.info = replace(record.info, log_bytes=len(record.log))
            found = (record.info for record in self._records.values())
            return newest_first(run for run in found if run.deleted == deleted)


def _ask_of(spec: RunSpec) -> Ask:
    return Ask(
        spec.requirements, spec.name, spec.id, command=" ".join(spec.argv), lasts=spec.seconds
    )


def _running(grant: Grant) -> Running:
    return Running(now(), tuple(device.uuid for device in grant.devices), pid=1, starttime=0)


def now() -> Moment:
    """Return this moment by both clocks of the host."""
    return Moment(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
