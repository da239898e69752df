"""FakeHost is a Host without a machine; see genvx.testing."""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from genvx.core.finding import Examination, Finding, Severity
from genvx.core.policies.limit import Limit
from genvx.core.policies.policy import Entitlement, Policy
from genvx.core.runs.entry import require_entry
from genvx.core.wire.acts import Release, Reserve
from genvx.core.wire.questions import Examine, ShowPolicy, TakeSnapshot
from genvx.core.wire.runoperations import (
    DisposeOfRun,
    FindRuns,
    ListRuns,
    MarkRun,
    ShowRun,
    StopRun,
    SubmitRun,
    WatchRun,
    WithdrawRun,
)
from genvx.core.wire.treeoperations import FindTree
from genvx.errors import InvalidInput, WaitedTooLong
from genvx.testing.hold import FakeHold
from genvx.testing.machine import FakeMachine
from genvx.testing.runs import FakeRuns
from genvx.testing.shelf import Played

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.core.command import Command
    from genvx.core.device import Device
    from genvx.core.leases.claim import Owner
    from genvx.core.leases.environment import Environment
    from genvx.core.leases.grant import Grant
    from genvx.core.leases.lease import Lease
    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Ask
    from genvx.core.runs.container import Container
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.operation import Operation
    from genvx.core.wire.runoperations import LogNews
    from genvx.errors import GenvxError

R = TypeVar("R")


class FakeHost(FakeMachine):
    """FakeHost is a host in memory.

    devices: a number, or the devices. leases: those that exist from the start. owner: the user as
    whom callers act. error: raised by every method that asks the host. closed: whether `close` was
    called. commands: those that were started under its holds, which each succeed at once.

    script: says what the command of a run does, called with what was asked for; by default each
    succeeds at once and writes nothing. runs: they are there, and a test can have them write, end
    and be lost. It has no files: Fleet.push and Run.pull refuse it.
    """

    def __init__(
        self,
        name: str,
        devices: int | Sequence[Device] = 1,
        *,
        leases: Sequence[Lease] = (),
        owner: Owner | None = None,
        error: GenvxError | None = None,
        script: Callable[[RunSpec], Played] | None = None,
    ) -> None:
        super().__init__(name, devices, leases=leases, owner=owner, error=error)
        self.runs = FakeRuns(self, script or (lambda spec: Played()))
        self.commands: list[Command] = []
        self.closed = False

    def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot:
        """Take a snapshot; the clock of the host advances by a second at each.

        holders: ignored, as no processes hold the leases. sensors: ignored, as there are none.
        """
        self.require_answer()
        self.runs.advance()
        return self.look()

    def doctor(self) -> tuple[Finding, ...]:
        """Return one finding: the devices are simulated."""
        self.require_answer()
        return (Finding("driver", Severity.WARNING, "devices are simulated"),)

    def answer(self, operation: Operation[R]) -> R:
        """Reply to an operation; raise InvalidInput for one that this host does not know."""
        self.require_answer()
        answers: dict[type[Operation[Any]], Callable[[Any], Any]] = {
            TakeSnapshot: lambda asked: self.snapshot(holders=asked.holders, sensors=asked.sensors),
            Examine: lambda asked: Examination(self.doctor(), 0),
            ShowPolicy: lambda asked: self.entitlement(),
            Release: lambda asked: self.release(asked.environment, kill=asked.kill),
            Reserve: lambda asked: self.reserve(asked.ask),
            SubmitRun: self.runs.submit,
            ListRuns: self.runs.listed,
            FindRuns: self.runs.found,
            ShowRun: self.runs.shown,
            StopRun: self.runs.stop,
            WithdrawRun: self.runs.withdraw,
            MarkRun: self.runs.mark,
            DisposeOfRun: self.runs.dispose,
            FindTree: lambda asked: asked.tree in self.runs.trees,
        }
        answer = answers.get(type(operation))
        if answer is None:
            raise InvalidInput(f"a fake host has no {type(operation).__name__}")
        reply: R = answer(operation)
        return reply

    def entitlement(self) -> Entitlement:
        """Return an entitlement without limits."""
        self.require_answer()
        return Entitlement(self.owner.name, Policy(), Limit())

    def acquire(self, ask: Ask) -> FakeHold:
        """Take devices, or raise and change nothing.

        The lease has its time limit, but nothing ends when it is over.

        Raises:
            NoCapacity: not enough devices are available. Unsatisfiable: there are never enough.
        """
        self.require_answer()
        grant = self.grant(ask)
        return self._hold(grant, lambda: self.release(grant.environment_id))

    def join(self, environment: str, *, command: str = "") -> FakeHold:
        """Join a living environment of the owner, by id; it ends with the hold that took it.

        Raises:
            UnknownEnvironment: there is none.
        """
        self.require_answer()
        return self._hold(self.grant_of(environment), lambda: None)

    def _hold(self, grant: Grant, let_go: Callable[[], object]) -> FakeHold:
        return FakeHold(self, grant, let_go, self.commands.append)

    def reserve(self, ask: Ask) -> Grant:
        """Take devices; they stay taken until they are released."""
        return self.acquire(ask).grant

    def wait(
        self,
        ask: Ask,
        tell: Callable[[Standing], None] = lambda standing: None,
        stop: threading.Event | None = None,
    ) -> FakeHold:
        """Take devices when others have released enough, first come, first served.

        Raises:
            WaitedTooLong: the patience is over, or `stop` was set. Unsatisfiable: there are never
            enough.
        """
        self.require_answer()
        end = monotonic() + (math.inf if ask.patience is None else ask.patience)
        stop = stop or threading.Event()
        ticket = self.line_up(ask)
        try:
            while (standing := self.standing_of(ticket)) is not None:
                tell(standing)
                self.require_answer()
                if monotonic() >= end or stop.wait(0.005):
                    raise WaitedTooLong(f"{ask.requirements} not free: {standing.reason}")
            self.leave_line(ticket)
            return self.acquire(ask)
        finally:
            self.leave_line(ticket)

    def release(self, environment: str, *, kill: bool = False) -> Environment:
        """End an environment of the owner; kill is ignored, as there are no processes.

        Raises:
            UnknownEnvironment: there is none. NotOwner: it belongs to somebody else.
        """
        self.require_answer()
        return self.let_go(environment)

    # Runs

    def submit(
        self, spec: RunSpec, *, patience: float | None = None, tags: tuple[str, ...] = ()
    ) -> RunInfo:
        """Start a run, which does what the script says; with patience it waits for devices.

        Raises: as `acquire`.
        """
        return self.answer(SubmitRun(spec, patience, tags))

    def send_tree(
        self, shipment: Any, sent: Callable[[int, int], object] = lambda done, total: None
    ) -> None:
        """Take a tree, which its runs can have then; the contents of its files are not kept."""
        self.require_answer()
        self.runs.trees[shipment.recorded.tree] = shipment.manifest

    def enter(self, run: str, *, command: str = "") -> FakeHold:
        """Join the environment of a run that runs or is held, by the run's id.

        Raises:
            UnknownRun: there is none. InvalidInput: it waits, or is over.
        """
        require_entry(self.answer(ShowRun(run)).run)
        return self.join(run, command=command)

    def boxed(self, hold: FakeHold, container: Container) -> FakeHold:
        """Return what notes commands as if it started them in containers: the hold itself."""
        self.require_answer()
        return hold

    def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]:
        """Tell how a run is, and its log as it grows; the last is a LogEnd.

        Raises:
            UnknownRun: there is none.
        """
        self.require_answer()
        return self.runs.watch(asked, pause)

    def submit_and_watch(
        self,
        spec: RunSpec,
        pause: Callable[[float], bool],
        *,
        reports: bool = False,
        patience: float | None = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[RunInfo, Iterator[LogNews]]:
        """Start a run as `submit` does; return also what `watch` yields of it."""
        run = self.submit(spec, patience=patience, tags=tags)
        return run, self.watch(WatchRun(run.id, offset=0, reports=reports), pause)

    def __str__(self) -> str:
        return self.name

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True
