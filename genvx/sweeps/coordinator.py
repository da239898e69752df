"""The process that runs a sweep: it asks for trials, starts them where there is room, and ends.

All decisions are made in one thread, which waits for events: answers of hosts, news of runs, and
what a person wants. What must survive us is in the journal before it is done, so that whoever goes
on with the sweep later finds each trial, and starts none twice.
"""

from __future__ import annotations

import math
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from genvx.core.runs.runstate import Waiting, has_ended, name_of
from genvx.core.sweeps.goal import StopWhen
from genvx.core.sweeps.outcome import Pruned
from genvx.core.value import value
from genvx.core.wire.runoperations import WatchRun
from genvx.errors import (
    AuthenticationFailed,
    CommandNotFound,
    DriverError,
    FleetError,
    GenvxError,
    HostError,
    HostKeyError,
    NoCapacity,
    StateError,
    Unsatisfiable,
    kind_of,
)
from genvx.fleet.ask import NO_ANSWER, unsatisfiable
from genvx.sweeps import following
from genvx.sweeps.endings import Ending, ending_of, outcome_of
from genvx.sweeps.following import Gone, Line, Seen, Silent
from genvx.sweeps.lane import Answer, Find, Lane, Look, Stop, Submit, Withdraw
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.reading import Reports
from genvx.sweeps.trial import Stage, Trial
from genvx.sweeps.trialrun import run_of, tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost
    from genvx.sweeps.lane import Job
    from genvx.sweeps.reading import Reader
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.tuners.tuner import Tuner

# A host that has refused a trial although it seemed to have room is asked again after so long.
_FULL = 30.0
# After an answer that may be early: the host may still be making the record of the run.
_SOON = 1.0
# Errors after which a host has surely not accepted a run.
_NEVER_ASKED = (AuthenticationFailed, HostKeyError, DriverError)
_NEVER_REACHED = ("dns", "refused", "config")


@value
class Woken:
    """Somebody wants something. what: "interrupt" or "stop"."""

    what: str


class Observer(Protocol):
    """Observer is told what happens in a sweep, in the thread that runs it."""

    def say(self, line: str) -> None:
        """Take a line for people."""

    def changed(self, sweep: Coordinator, trial: Trial | None) -> None:
        """Take notice of a change, of one trial or of a host."""


class Silence:
    """Silence is an observer that does nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def changed(self, sweep: Coordinator, trial: Trial | None) -> None:
        """Do nothing."""


class Coordinator:
    """Coordinator runs one sweep, whose lock we hold.

    ship: sends its project to a host.

    Raises:
        StateError: its journal cannot be read.
    """

    def __init__(
        self,
        directory: SweepDirectory,
        fleet: HostGroup[RunHost],
        tuner: Tuner,
        observer: Observer | None = None,
        *,
        reader: Reader | None = None,
        ship: Callable[[RunHost], object] | None = None,
    ) -> None:
        self.spec: SweepSpec = directory.spec()
        self.ledger = Ledger.of(self.spec.goal, directory.events())
        self.why_ended = ""
        self._observer = observer or Silence()
        self._journal = directory.journal()
        self._tuner = tuner
        self._reader: Reader = reader or Reports()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._over = threading.Event()
        self.lanes = {
            host.name: Lane(host, self.spec.requirements, self.spec.per_gpu, self._events.put, ship)
            for host in fleet.hosts
        }
        self._exhausted = False
        self._stop_when = StopWhen.parse(self.spec.stop_when) if self.spec.stop_when else None
        self._runs: dict[str, int] = {}
        self._looked: set[str] = set()
        self._last_error: GenvxError | None = None
        self._deadline = math.inf
        if self.spec.seconds is not None:
            # By the wall clock, for it also counts while nobody runs the sweep.
            gone = (time.time_ns() - self.spec.began_epoch_ns) / 1e9
            self._deadline = time.monotonic() + self.spec.seconds - gone
        if self.ledger.ended:
            self._record({"is": "sweep resumed"})
        self._replay()

    # What others may do, in any thread

    def interrupt(self) -> None:
        """Have `run` return "interrupted"; the sweep goes on when it is called again."""
        self._events.put(Woken("interrupt"))

    def stop(self) -> None:
        """Have all trials end, and then the sweep."""
        self._events.put(Woken("stop"))

    def close(self) -> None:
        """Leave the sweep as it is: its trials go on."""
        self._over.set()
        for lane in self.lanes.values():
            lane.close()
        self._reader.close()
        self._journal.close()

    # Running

    def run(self) -> str:
        """Run the sweep to its end; return why that came: "trials", "space", "value", "time" or
        "stopped"; or "interrupted".

        Raises:
            Unsatisfiable: no host can ever run a trial. FleetError: no host answers.
            StateError: the journal cannot be written. CommandNotFound: no host has the command.
        """
        while True:
            self._dispatch()
            if self._is_done():
                break
            try:
                event = self._events.get(timeout=self._until_due())
            except queue.Empty:
                self._on_time()
                continue
            if isinstance(event, Woken) and event.what == "interrupt":
                return "interrupted"
            self._handle(event)
        self._record({"is": "sweep ended", "why": self.why_ended}, sync=True)
        self._observer.changed(self, None)
        return self.why_ended

    @property
    def out(self) -> list[Trial]:
        """The trials that a host has, or may have."""
        return [trial for trial in self.ledger.trials.values() if trial.is_out]

    @property
    def concurrency(self) -> float:
        """How many trials run or wait at once, at most."""
        if self.spec.concurrency is not None:
            return self.spec.concurrency
        return math.inf if self.spec.requirements.gpus else len(self.lanes)

    def _is_done(self) -> bool:
        if self.out or any(lane.busy for lane in self.lanes.values()):
            return False
        if self.why_ended:
            return True
        queued = self.ledger.count(Stage.QUEUED)
        if not queued and self.spec.trials is not None and len(self.ledger.trials) >= (
            self.spec.trials
        ):
            self.why_ended = "trials"
        elif not queued and self._exhausted:
            self.why_ended = "space"
        return bool(self.why_ended)

    def _until_due(self) -> float | None:
        now = time.monotonic()
        dues = [lane.due for lane in self.lanes.values() if lane.due > now and not lane.busy]
        nearest = min([*dues, self._deadline if not self.why_ended else math.inf], default=math.inf)
        return None if nearest == math.inf else max(0.0, nearest - now)

    def _on_time(self) -> None:
        if time.monotonic() >= self._deadline and not self.why_ended:
            self._end("time", "its time is over")

    def _end(self, why: str, line: str) -> None:
        """Start no more trials, and end those that are out."""
        self.why_ended = why
        many = len(self.out)
        self._observer.say(f"{line}; {many} trial{'s' * (many != 1)} to end")
        for trial in list(self.ledger.trials.values()):
            if trial.stage is Stage.QUEUED:
                self._finish(trial, Ending(Stage.CANCELLED, why="the sweep has ended"))
            elif trial.is_out:
                self._stop_trial(trial)

    # Dispatching

    def _dispatch(self) -> None:
        now = time.monotonic()
        for lane in self.lanes.values():
            if not lane.busy and not lane.closed and not lane.up and now >= lane.due:
                lane.give(self._doubtful(lane) or Look())
        if self.why_ended:
            return
        if all(lane.closed for lane in self.lanes.values()) and not self.out:
            self._nowhere()
        while len(self.out) < self.concurrency:
            lane = self._best_lane()
            trial = None if lane is None else self._next_trial()
            if lane is None or trial is None:
                break
            self._ask_for(trial, lane)
        else:
            self._move_a_waiter()
            return
        if lane is not None:
            self._move_a_waiter()

    def _doubtful(self, lane: Lane) -> Job | None:
        """The job that settles whether a host has a trial that was asked for there."""
        for trial in self.out:
            if trial.host == lane.name and trial.run not in self._looked:
                accepted = trial.stage is not Stage.ASKED
                return Find(trial.number, trial.run, accepted)
        return None

    def _best_lane(self) -> Lane | None:
        free = [
            lane
            for lane in self.lanes.values()
            if lane.up and not lane.busy and not lane.closed and lane.waiter is None
            if time.monotonic() >= lane.due
        ]
        outs = [trial.host for trial in self.out]
        # Where there seems to be none, a trial stands in line: it starts as soon as there is room.
        return min(free, key=lambda each: (-each.room, outs.count(each.name)), default=None)

    def _next_trial(self) -> Trial | None:
        for trial in self.ledger.trials.values():
            if trial.stage is Stage.QUEUED:
                return trial
        number = len(self.ledger.trials)
        if self._exhausted or (self.spec.trials is not None and number >= self.spec.trials):
            return None
        parameters = self._tuner.ask(number)
        if parameters is None:
            self._exhausted = True
            return None
        return Trial(number, parameters)

    def _ask_for(self, trial: Trial, lane: Lane) -> None:
        run = os.urandom(4).hex()
        self._record(
            {
                "is": "asked",
                "trial": trial.number,
                "attempt": trial.attempts + 1,
                "run": run,
                "host": lane.name,
                "parameters": trial.parameters,
            },
            sync=True,
        )
        self._submit(self.ledger.trials[trial.number], lane, again=False)

    def _submit(self, trial: Trial, lane: Lane, *, again: bool) -> None:
        self._runs[trial.run] = trial.number
        self._looked.add(trial.run)
        lane.give(
            Submit(trial.number, run_of(self.spec, trial), tags_of(self.spec, trial), again)
        )

    def _move_a_waiter(self) -> None:
        """Where there is room and nothing to start, take a trial that waits elsewhere."""
        idle = [each for each in self.lanes.values() if each.up and not each.busy and each.room > 0]
        idle = [each for each in idle if each.waiter is None and not each.closed]
        full = [each for each in self.lanes.values() if each.waiter is not None and not each.busy]
        if idle and full:
            lane = full[0]
            assert lane.waiter is not None
            trial = self.ledger.trials[lane.waiter]
            if not trial.stopping:
                lane.give(Withdraw(trial.number, trial.run))

    def _nowhere(self) -> None:
        """Raise why no host can ever run a trial."""
        from genvx.core.placing.ranking import rank

        if isinstance(self._last_error, CommandNotFound):
            raise self._last_error
        snapshots = {name: lane.host.snapshot() for name, lane in self.lanes.items()}
        _, refusals = rank(self.spec.requirements, snapshots)
        if refusals:
            raise unsatisfiable(self.spec.requirements, refusals)
        reasons = {name: lane.closed for name, lane in self.lanes.items()}
        raise FleetError(NO_ANSWER, reasons=reasons)

    # Events

    def _handle(self, event: object) -> None:
        if isinstance(event, Woken):
            if not self.why_ended:
                self._end("stopped", "the sweep is stopped")
        elif isinstance(event, Answer):
            self._answered(event)
        elif isinstance(event, Silent):
            self._silent(event)
        elif isinstance(event, (Line, Seen, Gone)):
            number = self._runs.get(event.run)
            trial = None if number is None else self.ledger.trials[number]
            if trial is not None and trial.run == event.run and not trial.is_over:
                self._news(trial, event)

    def _answered(self, answer: Answer) -> None:
        lane = self.lanes[answer.host]
        lane.busy = False
        job = answer.job
        if isinstance(job, Look):
            self._looked_at(lane, answer)
            return
        trial = self.ledger.trials[job.trial]
        if answer.error is None:
            lane.answered()
        if trial.is_over or trial.run != getattr(job, "run", trial.run):
            return
        if isinstance(job, (Submit, Find)):
            if answer.error is not None:
                self._refused(trial, lane, answer.error, again=isinstance(job, Find) or job.again)
            elif answer.result is not None:
                self._accepted(trial, lane, answer.result)
            elif trial.stage is Stage.ASKED:
                self._submit(trial, lane, again=True)
            else:
                self._lost(trial, f"{lane.name} has no run {trial.run} any more")
        elif isinstance(job, Withdraw):
            if answer.error is None:
                lane.waiter = None
                self._return(trial, "moved to another host")
            else:
                # It has begun meanwhile, which its news say.
                lane.due = time.monotonic() + _SOON
        elif answer.error is not None:
            # It must end, so the host is asked until it answers.
            self._warn(lane, answer.error)
            threading.Timer(lane.pause(time.monotonic()), self._stop_again, (trial,)).start()

    def _stop_again(self, trial: Trial) -> None:
        if not self._over.is_set() and not trial.is_over:
            self.lanes[trial.host].give(Stop(trial.number, trial.run))

    def _looked_at(self, lane: Lane, answer: Answer) -> None:
        if answer.error is not None:
            self._warn(lane, answer.error)
            lane.pause(time.monotonic())
            return
        if lane.told:
            self._observer.say(f"{lane.name} answers again")
            lane.told = ""
        lane.learn(answer.result)
        if lane.closed:
            self._observer.say(f"{lane.name} {lane.closed}; no trial goes there")
        self._observer.changed(self, None)

    def _warn(self, lane: Lane, error: GenvxError) -> None:
        line = f"{lane.name}: {kind_of(error)}: {error}"
        if lane.told != line:
            lane.told = line
            self._observer.say(f"{line}; the sweep goes on without it, and asks it again")
