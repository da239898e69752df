"""What the hosts of a sweep are asked next: decided from what is known, without asking anybody."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.errors import FleetError, NoCapacity
from genvx.fleet.ask import NO_ANSWER, NO_HOST, unsatisfiable
from genvx.sweeps.lane import Find, Look, Stop, Withdraw
from genvx.sweeps.trial import Stage, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genvx.errors import GenvxError
    from genvx.sweeps.lane import Job, Lane
    from genvx.sweeps.ledger import Ledger
    from genvx.sweeps.spec import SweepSpec
    from genvx.sweeps.tuners.tuner import Tuner


@value
class Start:
    """Start a trial: new, or one that came back from a host."""

    trial: Trial


class Dispatch:
    """Dispatch says what each host is asked next.

    ending: why the sweep ends before all trials have; empty while it does not. settling: trials of
    which a host is being asked whether it has them. told: runs whose hosts know that they are to
    end. refusal: why a host takes no trial at all.
    """

    def __init__(
        self, spec: SweepSpec, ledger: Ledger, lanes: Mapping[str, Lane], tuner: Tuner
    ) -> None:
        self.ending = ""
        self.settling: set[int] = set()
        self.told: set[str] = set()
        self.refusal: GenvxError | None = None
        self._spec = spec
        self._ledger = ledger
        self._lanes = lanes
        self._tuner = tuner
        self._exhausted = False
        self._followed: dict[str, Trial] = {}

    @property
    def out(self) -> list[Trial]:
        """The trials that a host has, or may have."""
        return [trial for trial in self._ledger.unfinished.values() if trial.is_out]

    @property
    def most(self) -> float:
        """How many trials run or wait at once, at most."""
        if self._spec.concurrency is not None:
            return self._spec.concurrency
        return math.inf if self._spec.requirements.gpus else len(self._lanes)

    def follows(self, trial: Trial) -> None:
        """Note that the run of a trial is followed."""
        self._followed[trial.run] = trial

    def forget(self, trial: Trial) -> None:
        """Note that the run of a trial is not followed any more."""
        self._followed.pop(trial.run, None)
        self.told.discard(trial.run)

    def trial_of(self, run: str) -> Trial | None:
        """Return the trial whose run is followed; None for a run of an earlier attempt."""
        return self._followed.get(run)

    def next_jobs(self, now: float) -> Iterator[tuple[Lane, Job | Start]]:
        """Yield what is to be asked now; each must be given to its host before the next is asked
        for.

        Raises:
            Unsatisfiable: no host can ever run a trial; or why all hosts refuse them. FleetError:
            no host has ever answered. NoCapacity: those that have can run no trial.
        """
        for lane in self._lanes.values():
            if not lane.busy and now >= lane.due:
                job = self._duty(lane, now)
                if job is not None:
                    yield lane, job
        if self.ending:
            return
        if not self.out and all(lane.closed for lane in self._lanes.values()):
            raise self._nowhere()
        reasons = {lane.name: lane.absence for lane in self._lanes.values()}
        if all(reasons.values()) and not self._ledger.trials:
            if all(lane.silence for lane in self._lanes.values()):
                raise FleetError(NO_ANSWER, reasons=reasons)
            raise NoCapacity(NO_HOST, reasons)
        while len(self.out) < self.most:
            found = self._best_lane(now)
            trial = None if found is None else self._next_trial()
            if found is None or trial is None:
                break
            yield found, Start(trial)
        waiting, idle = self._waiter_to_move(now)
        if waiting is not None and idle:
            trial = self._ledger.trials[waiting.waiter or 0]
            yield waiting, Withdraw(trial.number, trial.run)

    def why_done(self) -> str:
        """Return why the sweep is over; empty while it is not."""
        if self.out:
            return ""
        if self.ending:
            return self.ending
        if self._ledger.unfinished:
            return ""
        if self._spec.trials is not None and len(self._ledger.trials) >= self._spec.trials:
            return "trials"
        return "space" if self._exhausted else ""

    def until_due(self, now: float, deadline: float) -> float | None:
        """Return the seconds until something is to be asked without an event before.

        now: as `next_jobs` was given it. What has become due since then would be due for ever.
        """
        lanes = [lane for lane in self._lanes.values() if not lane.busy]
        dues = [lane.due for lane in lanes if lane.due > now]
        if not self.ending:
            dues += [lane.again for lane in lanes if lane.again > now]
        nearest = min([*dues, math.inf if self.ending else deadline])
        return None if nearest == math.inf else max(0.0, nearest - time.monotonic())

    def _duty(self, lane: Lane, now: float) -> Job | None:
        """What a host must be asked before anything else."""
        for trial in self.out:
            if trial.host != lane.name or trial.number in self.settling:
                continue
            if trial.run not in self._followed:
                return Find(trial.number, trial.run)
            if trial.stopping and trial.run not in self.told:
                return Stop(trial.number, trial.run)
        if lane.closed:
            return None
        # Others may have given something back.
        may_have_room = not self.ending and lane.room <= 0 and lane.waiter is None
        if not lane.up or (may_have_room and now >= lane.again):
            return Look()
        return None

    def _best_lane(self, now: float) -> Lane | None:
        free = [lane for lane in self._lanes.values() if lane.is_open(now) and lane.waiter is None]
        outs = [trial.host for trial in self.out]
        best = min(free, key=lambda each: (-each.room, outs.count(each.name)), default=None)
        if best is None or best.room > 0:
            return best
        # Where others have all, a trial stands in line. Where trials of ours have it, the next one
        # starts when one of them ends, of which we hear sooner than who stands in line there. But
        # first all hosts are asked once.
        if any(lane.busy and lane.seen is None for lane in self._lanes.values()):
            return None
        return next((lane for lane in free if lane.name not in outs), None)

    def _next_trial(self) -> Trial | None:
        for trial in self._ledger.unfinished.values():
            if trial.stage is Stage.QUEUED:
                return trial
        number = len(self._ledger.trials)
        if self._exhausted or (self._spec.trials is not None and number >= self._spec.trials):
            return None
        if number in self._ledger.trials:  # a line of the journal is damaged
            number = min(set(range(number)) - set(self._ledger.trials))
        parameters = self._tuner.ask(number)
        if parameters is None:
            self._exhausted = True
            return None
        return Trial(number, parameters)

    def _waiter_to_move(self, now: float) -> tuple[Lane | None, bool]:
        """A host in whose line a trial waits while another host has room, and nothing else to
        start there.
        """
        idle = any(
            lane.is_open(now) and lane.waiter is None and lane.room > 0
            for lane in self._lanes.values()
        )
        waiting = (
            lane
            for lane in self._lanes.values()
            if lane.waiter is not None and lane.is_open(now)
            if not self._ledger.trials[lane.waiter].stopping
        )
        return next(waiting, None), idle

    def _nowhere(self) -> GenvxError:
        """Why no host can ever run a trial."""
        if self.refusal is not None:
            return self.refusal
        from genvx.core.placing.ranking import rank

        seen = {lane.name: lane.seen for lane in self._lanes.values() if lane.seen is not None}
        _, refusals = rank(self._spec.requirements, seen)
        return unsatisfiable(self._spec.requirements, refusals)
