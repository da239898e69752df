"""The process that a run belongs to: it takes the devices, starts the command, and writes the end.

It is the only process that must hold the lease: what a command starts often does not inherit a
descriptor. It is a subreaper, so nothing that the command starts gets out of its sight, and it ends
all of it before it lets the lease go.

It has one thread and handles no signal: they are blocked and waited for (wakeups.py), so none is
lost between two checks.
"""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.launchers import for_people
from genvx.core.requests.ask import Ask
from genvx.core.runs.entry import ending_of
from genvx.core.runs.run import End, HoldWhen, Moment
from genvx.core.runs.rungang import NO_CODE
from genvx.core.runs.runstate import (
    Failed,
    Held,
    Preparing,
    Running,
    Step,
    Stopped,
    StopReason,
    Waiting,
    end_of,
    is_over,
    settled,
)
from genvx.core.text import printable
from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.granting.acquiring import acquire
from genvx.local.granting.joining import join
from genvx.local.runs import tree
from genvx.local.runs.below import Below
from genvx.local.runs.clock import now
from genvx.local.runs.debug.port import Port
from genvx.local.runs.entrance import Entrance
from genvx.local.runs.gang.member import Alone, Member
from genvx.local.runs.guests import Guests
from genvx.local.runs.output import Output
from genvx.local.runs.record import StopRequest
from genvx.local.runs.retries import Retries
from genvx.local.runs.start import start
from genvx.local.runs.states import States
from genvx.local.runs.treeend import SOON, TreeEnd
from genvx.local.runs.usage import Meter
from genvx.local.runs.wakeups import Wakeups
from genvx.local.waiting import wait

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.line.standing import Standing
    from genvx.core.runs.part import Part
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.notify.post import Post
    from genvx.local.runs.preparing import Preparation
    from genvx.local.runs.record import RunDirectory

# How long it sleeps when nothing is due. A signal wakes it earlier.
_LOOK = 60.0
# How often a state is tried again that could not be written.
_AGAIN = 1.0
# A place in the line, or a reason to wait, that changes is written this often at most.
_NEWS = 5.0


class Supervisor:
    """One run, from its acceptance to its end.

    accepted: is called once, when the run waits in line or holds its devices.
    """

    def __init__(
        self,
        host: Machine,
        spec: RunSpec,
        directory: RunDirectory,
        accepted: Callable[[RunState], None],
        preparation: Preparation,
        post: Post,
    ) -> None:
        self._host, self._spec, self._directory = host, spec, directory
        self._preparation, self._post = preparation, post
        self._accepted: Optional[Callable[[RunState], None]] = accepted
        self._states = States(directory)
        self._stop: Optional[StopRequest] = None
        self._begun = False
        self._waiting: Optional[Waiting] = None
        self._told = 0.0
        self._below = Below(host)
        self._wakeups = Wakeups()
        self._output = Output(spec, directory, self._wakeups, host.state)
        self._entrance = Entrance(spec, directory, host.environ)
        self._member: Union[Alone, Member] = Alone()
        self._debug_port = Port(host, spec, directory, self._output.say)

    def run(self, *, patience: Optional[float]) -> None:
        """Supervise the run to its end.

        patience: seconds to wait in line at most; None does not wait.

        Raises:
            GenvxError: it was not accepted; nothing was started, and nothing is held.
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        hold = self._acquire(patience)
        if hold is None:
            self._finish_writing()
            return
        self._expires: float = hold.lease.expires_ns or math.inf
        try:
            # If we are killed, the keeper ends the command in time. It is no child of ours, as long
            # as orphans do not come to us.
            hold.keep_time(spare=os.getpid(), supervised=True, whole=bool(self._spec.container))
            self._preparation.before()
            closed = self._debug_port.open(refuse=self._accepted is not None)
            tree.become_subreaper()
            guests = Guests(self._host, hold.lease, self._output.say)
            state = closed or self._hold_to_end(hold, guests)
            # The end is shown only once the devices are free, for people count on that. So it is
            # written down twice: if we are killed in between, it is not lost. A full disk must not
            # keep the devices.
            with suppress(OSError):
                self._directory.write_decided(state)
            self._see_off(guests, ending_of(state))
            self._debug_port.end()
        finally:
            hold.release()
        while guests.turn_out():
            self._sleep(SOON)
        self._write(state)
        # One whose command never started is accepted only now: its client may look at once.
        self._accept(state)
        self._output.linger(self._sleep)
        self._member.linger(self._sleep)
        self._post.ended(self._member.overall(state))
        self._finish_writing()
        self._output.linger(self._sleep)

    def _finish_writing(self) -> None:
        while self._states.unwritten is not None:
            # The end is known, and only its record is missing: wait for room on the disk.
            self._sleep(_AGAIN)
            self._write(self._states.unwritten)

    # Waiting

    def _acquire(self, patience: Optional[float]) -> Optional[LocalHold]:
        spec = self._spec
        if spec.part is not None:
            # The client has taken the devices on all hosts, and holds them until all have joined.
            return join(self._host, spec.id, command=" ".join(for_people(spec.argv)))
        ask = Ask(
            spec.requirements,
            spec.name,
            spec.id,
            command=" ".join(for_people(spec.argv)),
            lasts=spec.seconds,
            patience=patience,
        )
        if patience is None:
            return acquire(self._host, ask)
        try:
            return wait(self._host, ask, self._stands, self)
        except GenvxError as error:
            if self._accepted is not None:
                raise
            self._end_without_start(error)
            return None

    def _stands(self, standing: Standing) -> None:
        before = self._waiting
        since = now() if before is None else before.since
        state = Waiting(since, standing.place, standing.reason)
        if state != before and (before is None or time.monotonic() >= self._told + _NEWS):
            self._told, self._waiting = time.monotonic(), state
            self._write(state)
            self._accept(state)

    def _end_without_start(self, error: Exception) -> None:
        if self._stop is not None:
            self._write(Stopped(now(), self._stop.why, self._stop.by))
        else:
            self._write(Failed(now(), why=printable(str(error), 500)))

    def _accept(self, state: RunState) -> None:
        accepted, self._accepted = self._accepted, None
        if accepted is not None:
            accepted(state)

    # Running

    def _hold_to_end(self, hold: LocalHold, guests: Guests) -> RunState:
        """Run the command under a hold, again after failures; return how it ended."""
        self._write(Preparing(now(), Step.START))
        self._stop = self._stop or self._stop_request()
        if self._stop is not None:
            return Stopped(now(), self._stop.why, self._stop.by)
        self._begun = True
        self._entrance.open()
        why = None if self._spec.part is None else self._meet(self._spec.part)
        if why is not None:
            return why
        why = self._preparation.prepare(self._output, self._below, self._is_prepared, self.wait)
        if why is not None:
            self._member.ended(NO_CODE)
            return why
        retries = Retries(self._spec.retries)
        while True:
            attempt = retries.attempt
            end = self._attempt(hold, guests, attempt)
            if isinstance(end, Failed):
                self._member.ended(NO_CODE)
                return end
            pause = retries.pause_after(end)
            if self._stop is None and pause is not None:
                failed = f"attempt {attempt} ended with exit code {end.exit_code}"
                self._pause(pause, f"{failed}; starting again")
            if self._stop is not None:
                self._member.ended(end.exit_code or NO_CODE)
                return Stopped(now(), self._stop.why, self._stop.by, end)
            if pause is None:
                self._member.ended(end.exit_code)
                self._keep(hold, guests, end)
                return settled(end, now())

    def _pause(self, seconds: float, why: str) -> None:
        """Wait until the command starts again, or the run is to end."""
        if seconds:
            why += f" in {seconds:g} s"
            self._write(Preparing(now(), Step.START, why))
        self._output.say(why)
        end = time.monotonic() + seconds
        while self._stop is None and time.monotonic() < end:
            self._mind_time()
            self._sleep(max(0.0, min(end - time.monotonic(), _AGAIN)))

    def _is_prepared(self, state: Preparing, takes_long: bool) -> Optional[RunState]:
        """Write how far it is with what the command needs; return the state of one that ends."""
        self._write(state)
        if takes_long:
            self._accept(state)
        self._sleep(0.0)
        self._mind_time()
        return None if self._stop is None else Stopped(now(), self._stop.why, self._stop.by)

    def _mind_time(self) -> None:
        if self._stop is None and processes.boottime_ns() >= self._expires:
            self._stop = StopRequest(StopReason.TIME, os.getuid(), self._spec.grace)

    def _meet(self, part: Part) -> Optional[RunState]:
        """Wait until all parts of the gang start; return the state of one that never does."""
        member = Member(self._spec, part, self._directory, self._wakeups, self._output.say)
        self._member = member
        member.meet(self._sleep)
        waiting = Preparing(now(), Step.START, "waits for the other parts")
        self._write(waiting)
        self._accept(waiting)
        why = member.begin(self._sleep, lambda: self._stop is not None)
        if not why:
            return None
        if self._stop is not None and self._stop.why is not StopReason.GANG:
            return Stopped(now(), self._stop.why, self._stop.by)
        return Failed(now(), step=Step.START, why=why)

    def _attempt(self, hold: LocalHold, guests: Guests, attempt: int) -> Union[End, Failed]:
        """Start the command once and wait until it and all that it started has ended."""
        spec = self._spec
        meter = Meter(self._host, hold.devices)
        try:
            self._output.open()
            pid = start(spec, hold, self._directory, self._output, self._preparation)
        except OSError as error:
            self._output.close()
            reason = f"cannot run {printable(spec.argv[0], 100)}: {error.strerror}"
            self._output.say(reason)
            return Failed(now(), step=Step.START, why=reason)
        began = now()
        devices = tuple(device.uuid for device in hold.devices)
        port = self._preparation.port
        running = Running(began, devices, pid, processes.starttime(pid), attempt, port)
        self._write(running)
        self._accept(running)
        status: Optional[int] = None
        end = TreeEnd(self._below, self._output.say, self._preparation.terminates(pid, self._sleep))
        while status is None:
            status = self._below.reap(pid, meter)
            if status is not None:
                break
            self._mind_time()
            if self._stop is not None:
                end.stop(self._stop)
                self._announce_end(guests, f"stopped ({self._stop.why.value})")
                self._sleep(SOON)
            else:
                meter.sample()
                left = min(_LOOK, meter.due, (self._expires - processes.boottime_ns()) / 1e9)
                self._sleep(max(0.0, left if self._states.unwritten is None else _AGAIN))
        ended = now()
        self._preparation.end(status, hold, self._below, self._sleep, self._output.say)
        end.leftovers(self._sleep, meter, spec.grace, lambda: self._stop)
        self._output.close()
        if os.WIFSIGNALED(status):
            return End(began, ended, signal=os.WTERMSIG(status), usage=meter.usage())
        return End(began, ended, code=os.WEXITSTATUS(status), usage=meter.usage())

    # After the end

    def _keep(self, hold: LocalHold, guests: Guests, end: End) -> None:
        """Keep devices and directory for a look, if that was asked for; then while guests have
        their grace.
        """
        spec = self._spec
        if spec.hold is not None and (spec.hold_when is HoldWhen.ALWAYS or end.exit_code):
            until = self._write_held(hold, end, spec.hold)
            while self._stop is None and processes.boottime_ns() < until and hold.is_published():
                guests.look()
                self._sleep(min(1.0, max(0.0, (until - processes.boottime_ns()) / 1e9)))
        if guests.are_there():
            self._write_held(hold, end, self._announce_end(guests, ending_of(settled(end, now()))))

    def _write_held(self, hold: LocalHold, end: End, seconds: float) -> int:
        """Write that the run is held, at most until its time is over; return until when."""
        began = now()
        until = began.boottime_ns + round(seconds * 1e9)
        if hold.lease.expires_ns is not None:
            until = min(until, hold.lease.expires_ns)
        moment = Moment(began.epoch_ns + until - began.boottime_ns, until)
        self._write(Held(began, moment, end))
        return until

    def _announce_end(self, guests: Guests, how: str) -> float:
        """Tell the guests how the run ends; return the most seconds that they have."""
        self._debug_port.shut()
        label = f"{self._spec.id} ({self._spec.name})" if self._spec.name else self._spec.id
        return guests.see_off(label, how, self._spec.grace, self._stop)

    def _see_off(self, guests: Guests, how: str) -> None:
        """Wait until all guests have ended."""
        asked = self._stop
        self._announce_end(guests, how)
        while guests.tend():
            self._sleep(guests.due)
            if self._stop is not asked and self._stop is not None:
                guests.hurry(self._stop)
        guests.dismiss()

    def wait(self, seconds: float) -> bool:
        """Wait so many seconds at most; return whether the run is to end."""
        self._sleep(seconds)
        return self._stop is not None

    def _sleep(self, seconds: float) -> None:
        """Serve the output until a signal comes, at most so long; then read requests to end."""
        end = time.monotonic() + min(seconds, self._output.due, self._member.due())
        signalled, sender = False, None
        while not signalled:
            woken = self._wakeups.wait(end - time.monotonic())
            signalled, sender = woken.signalled, woken.sender
            self._output.take(woken)
            # A viewer that has just come is to be looked after sooner.
            end = min(end, time.monotonic() + self._output.due)
            if time.monotonic() >= end or (woken.readable and self._spec.part):
                break
        self._output.tend()
        self._entrance.tend()
        if self._stop is None or signalled:
            self._stop = self._stop_request()
        # A request to end is written before its signal is sent; a bare kill writes none.
        if self._stop is None and sender is not None:
            self._stop = StopRequest(StopReason.ASKED, sender, self._spec.grace)
        if self._member.look() and self._stop is None:
            self._stop = StopRequest(StopReason.GANG, os.getuid(), self._spec.grace)
        if self._states.unwritten is not None:
            self._write(self._states.unwritten)

    def _stop_request(self) -> Optional[StopRequest]:
        """That it is to end. To move it is possible until it begins, and ignored from then on."""
        request = self._directory.stop_request()
        if request is not None and request.why is StopReason.MOVED and self._begun:
            request = None
        return request if self._stop is None else self._stop.hurried(request)

    def _write(self, state: RunState) -> None:
        if self._states.write(state) and (is_over(state) or end_of(state) is not None):
            self._output.end()
