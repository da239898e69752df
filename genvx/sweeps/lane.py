"""A host of a sweep: what it is asked, one thing after the other, and how much room it may have.

A lane decides nothing. The process that runs the sweep gives it jobs, and gets an answer for each.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from genvx.core.line.queue import left_over
from genvx.core.placing.placement import fitting_of
from genvx.core.placing.refusing import possible
from genvx.core.value import replace, value
from genvx.core.wire.runoperations import FindRuns, StopRun, WithdrawRun
from genvx.errors import GenvxError, TreeMissing
from genvx.sweeps.following import FIRST_PAUSE, LONGEST_PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.runoperations import LogNews
    from genvx.fleet.detaching.runs import RunHost

    Started = tuple[RunInfo, Iterator[LogNews] | None]

# A trial waits in the line of its host as long as it takes.
_FOR_EVER = math.inf
# After an answer that came too early, and after one that there is no room.
_SOON, _FULL = 1.0, 30.0
# How often a host is looked at that seems to have no room left.
_LOOK = 30.0


@value
class Look:
    """Take a snapshot."""


@value
class Submit:
    """Start the run of a trial, or have it wait in line; the answer also has its news.

    reports: whether they are what it reports, and not its log. again: it may be there already.
    """

    trial: int
    spec: RunSpec
    tags: tuple[str, ...]
    reports: bool = True
    again: bool = False


@value
class Find:
    """Find the run of a trial, which may be there."""

    trial: int
    run: str


@value
class Stop:
    """Have the run of a trial end."""

    trial: int
    run: str


@value
class Withdraw:
    """Take the run of a trial out of the line."""

    trial: int
    run: str


Job = Look | Submit | Find | Stop | Withdraw


@value
class Answer:
    """What became of a job. error: why there is no result. news: of a run that was started."""

    host: str
    job: Job
    result: Any = None
    news: Iterator[LogNews] | None = None
    error: GenvxError | None = None


class Lane:
    """Lane has a thread that asks one host.

    room: how many more trials would probably start there at once; math.inf where they hold no GPU.
    up: whether the host has answered last. seen: its last snapshot. closed: why no trial can ever
    go there. silence: why it does not answer. told: which of both was said. waiter: the number of
    the trial that waits in its line. busy: whether a job is being done. due: when it may be asked
    again, by time.monotonic(). again: when its room is looked at again. pause: waits so many
    seconds; True ends the following of runs. ship: sends the project of a trial there.
    """

    def __init__(
        self,
        host: RunHost,
        requirements: Requirements,
        per_gpu: int,
        put: Callable[[Answer], object],
        pause: Callable[[float], bool],
        ship: Callable[[RunHost], object] | None = None,
    ) -> None:
        self.host = host
        self.name = host.name
        self.requirements = requirements
        self.room: float = 0
        self.up = False
        self.silence = ""
        self.told = ""
        self.seen: Snapshot | None = None
        self.closed = ""
        self.waiter: int | None = None
        self.busy = False
        self.due = 0.0
        self.again = 0.0
        self._pause = FIRST_PAUSE
        self._per_gpu = per_gpu
        self._put = put
        self._stops = pause
        self._ship = ship
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"genvx lane {self.name}", daemon=True).start()

    def give(self, job: Job) -> None:
        """Have a job done after those that were given before."""
        self.busy = True
        self._jobs.put(job)

    def close(self) -> None:
        """End the thread once it has done what it was given."""
        self._jobs.put(None)

    @property
    def absence(self) -> str:
        """Why no trial goes there now; empty if one may."""
        return self.silence or self.closed

    def absence_line(self, *, others: bool) -> str:
        """Return what people are told of an absence. others: whether other hosts go on."""
        if not self.silence:
            return f"{self.name} {self.closed}; no trial goes there"
        go_on = "others go on, and " * others
        return f"{self.name}: {self.silence}; {go_on}{self.name} is asked again"

    def is_open(self, now: float) -> bool:
        """Whether a trial may be asked for there at this moment."""
        return self.up and not self.busy and not self.closed and now >= self.due

    def pause(self, now: float) -> None:
        """Leave the host alone, for a time that grows each time."""
        self.up = False
        self.due = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def rest(self, now: float, *, long: bool = False) -> None:
        """Ask the host nothing for a moment, or for as long as one that refuses all trials."""
        self.due = now + (_FULL if long else _SOON)

    def took(self, trial: int, *, waits: bool) -> None:
        """Note that a trial runs there, or waits in line."""
        if waits:
            self.waiter, self.room = trial, 0
        else:
            self.room = max(0, self.room - 1)
            if self.requirements.memory is not None:
                self.again = 0.0  # a device of which it has a part may have room for others

    def began(self, trial: int) -> None:
        """Note that a trial that waited runs."""
        if self.waiter == trial:
            self.waiter = None

    def lost(self, trial: int, *, ran: bool) -> None:
        """Note that a trial is not there any more. ran: what it held is free."""
        if self.waiter == trial:
            self.waiter = None
        elif ran:
            self.room += 1

    def answered(self) -> None:
        """Note that the host has answered."""
        self.up, self.due, self._pause = True, 0.0, FIRST_PAUSE

    def learn(self, snapshot: Snapshot) -> None:
        """Note how much room the host has, and whether it can ever have any."""
        wanted, self.seen = self.requirements, snapshot
        self.again = time.monotonic() + _LOOK
        self.answered()
        if not wanted.gpus:
            self.room = math.inf
            return
        if self._per_gpu > 1 and wanted.memory is None:
            sizes = [d.memory for d in snapshot.devices if d.memory and not wanted.mismatch(d)]
            if sizes:
                # Each trial gets its part of the smallest GPU, so that as many fit on each.
                wanted = replace(wanted, memory=min(sizes) // self._per_gpu)
                self.requirements = wanted
        most = possible(wanted, snapshot)
        self.closed = "" if most >= wanted.gpus else f"has {most} such GPU{'s' * (most != 1)}"
        world, kept = left_over(snapshot)
        fitting = len(fitting_of(wanted, world, None, kept))
        self.room = self._per_gpu * (fitting // wanted.gpus)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if isinstance(job, Submit):
                    answer = Answer(self.name, job, *self._submit(job))
                else:
                    answer = Answer(self.name, job, self._do(job))
            except GenvxError as error:
                answer = Answer(self.name, job, error=error)
            except Exception as error:  # otherwise the sweep would wait for this host for ever
                fault = GenvxError(f"a fault of genvx: {type(error).__name__}: {error}")
                answer = Answer(self.name, job, error=fault)
            self._put(answer)

    def _do(self, job: Look | Find | Stop | Withdraw) -> Any:
        if isinstance(job, Look):
            return self.host.snapshot()
        if isinstance(job, Find):
            return self._find(job.run)
        if isinstance(job, Withdraw):
            return self.host.answer(WithdrawRun(job.run))
        return self.host.answer(StopRun(job.run))

    def _submit(self, job: Submit) -> Started:
        if job.again:
            # Whoever was cut off while the host was asked does not know what became of it.
            found = self._find(job.spec.id)
            if found is not None:
                return found, None
        try:
            return self._start(job)
        except TreeMissing:
            if self._ship is None:
                raise
        self._ship(self.host)
        return self._start(job)

    def _start(self, job: Submit) -> Started:
        spec = replace(job.spec, requirements=self.requirements)
        patience = _FOR_EVER if spec.requirements.gpus else None
        return self.host.submit_and_watch(
            spec, self._stops, reports=job.reports, patience=patience, tags=job.tags
        )

    def _find(self, run: str) -> RunInfo | None:
        return next((each for each in self.host.answer(FindRuns(run)) if each.id == run), None)
