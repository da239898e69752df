"""The process that runs a sweep: it asks for trials, starts them where there is room, and ends.

All decisions are made in one thread, which waits for events: answers of hosts, news of runs, and
what a person wants. What must survive us is in the journal before it is done, so that whoever goes
on with the sweep later finds each trial, and starts none twice.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.runs.runstate import Waiting, was_moved
from genvx.core.sweeps.goal import StopWhen
from genvx.core.value import replace, value
from genvx.errors import CommandNotFound, GenvxError, InvalidInput, StateError
from genvx.sweeps import events, following
from genvx.sweeps.dispatch import Dispatch, Start
from genvx.sweeps.endings import Ending, ending_of, outcome_of
from genvx.sweeps.following import Gone, Line, Seen, Silent
from genvx.sweeps.inbox import Inbox
from genvx.sweeps.lane import Answer, Find, Lane, Look, Submit, Withdraw
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.observer import Silence
from genvx.sweeps.reading import Reports
from genvx.sweeps.refusals import Meaning, meaning_of, reason
from genvx.sweeps.replaying import replay
from genvx.sweeps.trial import Stage, Trial
from genvx.sweeps.trialrun import run_of, tags_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost
    from genvx.sweeps.lane import Job
    from genvx.sweeps.observer import Observer
    from genvx.sweeps.reading import Reader
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.tuners.tuner import Tuner

# A host that answers so often, with growing pauses, that it cannot make the record of a run, and
# shows no such run, has none: one that is being made shows itself within a minute.
_MOST_DOUBTS = 8


@value
class Woken:
    """Somebody wants something. what: "interrupt", "stop" or "tick"."""

    what: str


class Coordinator:
    """Coordinator runs one sweep, whose lock we hold.

    per_gpu: how many trials share a GPU, by host, where that is not as the sweep says. ship: sends
    the project to a host.

    Raises:
        StateError: its journal cannot be read or written.
    """

    def __init__(
        self,
        directory: SweepDirectory,
        fleet: HostGroup[RunHost],
        tuner: Tuner,
        observer: Observer | None = None,
        *,
        reader: Reader | None = None,
        per_gpu: Mapping[str, int] | None = None,
        ship: Callable[[RunHost], object] | None = None,
    ) -> None:
        self.spec: SweepSpec = directory.spec()
        past = directory.events()
        self.ledger = Ledger.of(self.spec.goal, past)
        self._observer = observer or Silence()
        self._journal = directory.journal()
        self._tuner = tuner
        self._reader: Reader = reader or Reports()
        self._reads = True
        self._events = Inbox()
        self._over = threading.Event()
        self.lanes = {
            host.name: Lane(
                host,
                self.spec.requirements,
                (per_gpu or {}).get(host.name, self.spec.per_gpu),
                self._events.put,
                self._over.wait,
                ship,
            )
            for host in fleet.hosts
        }
        self._dispatch = Dispatch(self.spec, self.ledger, self.lanes, tuner)
        self._stop_when = StopWhen.parse(self.spec.stop_when) if self.spec.stop_when else None
        self._good: int | None = None  # the trial whose value ends the sweep
        self._deadline = math.inf
        if self.spec.seconds is not None:
            # By the wall clock, for time also counts while nobody runs the sweep.
            gone = (time.time_ns() - self.spec.began_epoch_ns) / 1e9
            self._deadline = time.monotonic() + self.spec.seconds - gone
        if self.ledger.ended:
            self._record({"is": "sweep resumed"})
        replay(past, self.spec.goal, tuner)
        for trial in self._dispatch.out:
            if trial.host not in self.lanes:
                why = f"its host {trial.host} is not among the hosts any more"
                self._finish(trial, Ending(Stage.FAILED, why=why))

    # For any thread

    def interrupt(self) -> None:
        """Have `run` return "interrupted"; the sweep goes on when it is called again."""
        self._events.put(Woken("interrupt"))

    def stop(self) -> None:
        """Have all trials end, and then the sweep."""
        self._events.put(Woken("stop"))

    def tick(self) -> None:
        """Have the observer be told that time passes."""
        self._events.put(Woken("tick"))

    def close(self) -> None:
        """Leave the sweep as it is: its trials go on."""
        self._over.set()
        self._events.close()
        for lane in self.lanes.values():
            lane.close()
        self._reader.close()
        self._journal.close()

    # Running

    def run(self) -> str:
        """Run the sweep to its end; return why that came: "trials", "space", "value", "time" or
        "stopped"; or "interrupted".

        Raises:
            Unsatisfiable: no host can ever run a trial. NoCapacity: none that answers can.
            FleetError: none has ever answered. CommandNotFound: no host has the command.
            StateError: the journal cannot be written.
        """
        while True:
            now = time.monotonic()
            if now >= self._deadline and not self._dispatch.ending:
                self._end("time", "its time is over")
            for lane, job in self._dispatch.next_jobs(now):
                if isinstance(job, Start):
                    self._ask(job.trial, lane)
                else:
                    self._give(lane, job)
            if why := self._dispatch.why_done():
                break
            event = self._events.get(timeout=self._dispatch.until_due(now, self._deadline))
            if isinstance(event, Woken) and event.what == "interrupt":
                return "interrupted"
            self._handle(event)
        self._record({"is": "sweep ended", "why": why}, sync=True)
        self._observer.changed(None)
        return why

    @property
    def out(self) -> list[Trial]:
        """The trials that a host has, or may have."""
        return self._dispatch.out

    def _end(self, why: str, line: str) -> None:
        """Start no more trials, and end those that are out."""
        self._dispatch.ending = why
        are = "trial is" if len(self.out) == 1 else "trials are"
        self._observer.say(f"{line}; {len(self.out)} {are} ended")
        for trial in list(self.ledger.unfinished.values()):
            trial.stopping = trial.is_out
            if trial.stage is Stage.QUEUED:
                self._finish(trial, Ending(Stage.CANCELLED))

    def _ask(self, trial: Trial, lane: Lane) -> None:
        """Write down that a trial is asked for on a host, before that hears of it."""
        self._record(events.asked(trial, lane.name), sync=True)
        self._observer.changed(self.ledger.trials[trial.number])
        self._submit(self.ledger.trials[trial.number], lane)

    def _submit(self, trial: Trial, lane: Lane, *, again: bool = False) -> None:
        try:
            run = run_of(self.spec, trial)
        except InvalidInput as error:  # a value that cannot be put into this command
            self._finish(trial, Ending(Stage.FAILED, why=str(error)))
        else:
            reports = self._reader.asked(trial.run, 0).reports
            self._give(lane, Submit(trial.number, run, tags_of(self.spec, trial), reports, again))

    def _give(self, lane: Lane, job: Job) -> None:
        if isinstance(job, (Submit, Find)):
            self._dispatch.settling.add(job.trial)
        if isinstance(job, Withdraw):
            # Before the host hears of it: its run is over then, and the trial is not.
            self._record({"is": "withdrawn", "trial": job.trial}, sync=True)
        lane.give(job)

    def _record(self, event: Mapping[str, Any], *, sync: bool = False) -> Trial | None:
        self._journal.write(event, sync=sync)
        return self.ledger.apply(event)

    # Events

    def _handle(self, event: object) -> None:
        if isinstance(event, Woken):
            if event.what == "tick":
                self._observer.changed(None)
            elif not self._dispatch.ending:
                self._end("stopped", "the sweep is stopped")
        elif isinstance(event, Answer):
            self._answered(event)
        elif isinstance(event, (Line, Seen, Gone, Silent)):
            trial = self._dispatch.trial_of(event.run)
            if trial is not None and not trial.is_over:
                self._news(trial, event)

    def _answered(self, answer: Answer) -> None:
        lane, job = self.lanes[answer.host], answer.job
        lane.busy = False
        if isinstance(job, Look):
            self._looked(lane, answer)
            return
        trial = self.ledger.trials[job.trial]
        if answer.error is None:
            lane.answered()
        if isinstance(job, (Submit, Find)):
            self._dispatch.settling.discard(job.trial)
            if answer.error is not None:
                again = isinstance(job, Find) or job.again
                self._refused(trial, lane, answer.error, again=again)
            elif answer.result is not None:
                self._accepted(trial, lane, answer)
            elif trial.stage is Stage.ASKED:
                self._submit(trial, lane, again=True)
            else:
                self._lost(trial, f"{lane.name} has no run {trial.run} any more")
        elif trial.is_over or trial.run != job.run:
            return
        elif isinstance(job, Withdraw):
            if answer.error is None:
                self._return(trial, "withdrawn, to start on another host")
            else:  # it has begun meanwhile, and its news say so
                lane.rest(time.monotonic())
        elif answer.error is not None:
            self._warn(lane, answer.error)
        else:
            self._dispatch.told.add(trial.run)

    def _looked(self, lane: Lane, answer: Answer) -> None:
        if answer.error is not None:
            self._warn(lane, answer.error)
            return
        if lane.told and lane.silence:
            self._observer.say(f"{lane.name} answers again")
        lane.silence = lane.told = ""
        lane.learn(answer.result)
        self._say_absences()
        self._observer.changed(None)

    def _warn(self, lane: Lane, error: GenvxError) -> None:
        lane.pause(time.monotonic())
        lane.silence = reason(error)
        self._say_absences()

    def _say_absences(self) -> None:
        """Say to which hosts no trial goes, and why; each once."""
        lanes = self.lanes.values()
        # Without a host that can run a trial the sweep may not begin. Then the error names all.
        able = any(lane.seen is not None and not lane.closed for lane in lanes)
        if not self.ledger.trials and not able:
            return
        for lane in lanes:
            if lane.absence == lane.told:
                continue
            lane.told = lane.absence
            others = any(each.up and not each.closed for each in lanes)
            self._observer.say(lane.absence_line(others=others))

    def _accepted(self, trial: Trial, lane: Lane, answer: Answer) -> None:
        state = answer.result.state
        waits = isinstance(state, Waiting)
        self._record({"is": "accepted", "trial": trial.number, "running": not waits})
        lane.took(trial.number, waits=waits)
        if waits:
            trial.reason = state.reason
            self._observer.say(trial.waiting_line)
        self._dispatch.follows(trial)
        asked = self._reader.asked(trial.run, trial.offset)
        following.start(lane.host, asked, self._events.put, self._over, answer.news)
        self._observer.changed(trial)

    def _refused(self, trial: Trial, lane: Lane, error: GenvxError, *, again: bool) -> None:
        meaning = meaning_of(error, again=again)
        if again and isinstance(error, StateError):
            trial.doubts += 1
            if trial.doubts > _MOST_DOUBTS:
                meaning = Meaning.NOT
        if meaning is Meaning.UNKNOWN:
            # The trial stays with this host until that says whether it has it.
            self._warn(lane, error)
            return
        self._return(trial, str(error))
        if meaning is Meaning.NEVER:
            lane.closed = lane.told = str(error)
            self._dispatch.refusal = error
            if not isinstance(error, CommandNotFound) or len(self.lanes) > 1:
                self._observer.say(f"{lane.name}: {error}; no trial goes there")
        elif meaning is Meaning.FULL:
            lane.room = 0
            lane.rest(time.monotonic(), long=True)
        else:
            self._warn(lane, error)

    # News of runs

    def _news(self, trial: Trial, event: Line | Seen | Gone | Silent) -> None:
        if isinstance(event, Line):
            self._line(trial, event)
        elif isinstance(event, Silent):
            self._observer.say(event.line(trial.number))
        elif isinstance(event, Gone):
            self._lost(trial, event.why)
        elif event.over and trial.withdrawn and was_moved(event.info.state):
            # Its news may be here before the answer, which may never come.
            self._return(trial, "withdrawn, to start on another host")
        elif event.over:
            ending = ending_of(trial, event.info)
            if ending is None:
                self._lost(trial, f"run {trial.run} was lost on {trial.host}")
            else:
                if trial.number == self._good and ending.stage is Stage.CANCELLED:
                    ending = replace(ending, stage=Stage.COMPLETED)
                self._finish(trial, ending)
        elif isinstance(event.info.state, Waiting):
            trial.reason = event.info.state.reason
            self._observer.changed(trial)
        elif trial.stage is Stage.WAITING:
            self._record({"is": "accepted", "trial": trial.number, "running": True})
            self.lanes[trial.host].began(trial.number)
            self._observer.changed(trial)

    def _line(self, trial: Trial, event: Line) -> None:
        if not self._reads:
            return
        try:
            report = self._reader.read(event.text, trial)
        except GenvxError as error:
            self._reads = False
            self._observer.say(f"{error}; no more results are read")
            return
        if report is None or report.value is None:
            return
        self.ledger.apply(said := events.reported(trial, report, event.after))
        if trial.keeps_reports:
            self._journal.write(said)
        ends = self._stop_when is not None and self._stop_when.met(report)
        if ends and not self._dispatch.ending:
            self._good = trial.number
            self._end("value", f"trial {trial.number} has reached {self._stop_when}")
        if report.step is not None and not report.final and trial.pruned_at is None:
            prunes = self._tuner.reported(trial.number, report.step, report.value)
            if prunes and not trial.stopping and math.isfinite(report.value):
                self._record({"is": "pruned", "trial": trial.number, "step": report.step})
                trial.stopping = True
        self._observer.changed(trial)

    def _lost(self, trial: Trial, why: str) -> None:
        if trial.losses < self.spec.retries and not self._dispatch.ending:
            self._observer.say(f"trial {trial.number}: {why}; it starts again")
            self._return(trial, why, lost=True)
        else:
            self._finish(trial, Ending(Stage.FAILED, why=why))

    def _return(self, trial: Trial, why: str, *, lost: bool = False) -> None:
        """Have a trial start anew. lost: it had begun; otherwise its run never was."""
        self._left(trial)
        self._record({"is": "returned", "trial": trial.number, "why": why, "lost": lost}, sync=True)
        if self._dispatch.ending:
            self._finish(trial, Ending(Stage.CANCELLED))
        self._observer.changed(trial)

    def _finish(self, trial: Trial, ending: Ending) -> None:
        self._left(trial)
        self._record(events.ended(trial, ending))
        self._tuner.tell(trial.number, outcome_of(trial))
        self._observer.changed(trial)

    def _left(self, trial: Trial) -> None:
        """Note that a trial is not on its host any more."""
        if (lane := self.lanes.get(trial.host)) is not None:
            lane.lost(trial.number, ran=trial.stage is Stage.RUNNING)
        self._dispatch.forget(trial)
