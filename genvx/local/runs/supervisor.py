"""The process that a run belongs to: it takes the devices, starts the command, and writes the end.

It is the only process that must hold the lease: what a command starts often does not inherit a
descriptor. It is a subreaper, so nothing that the command starts gets out of its sight, and it ends
all of it before it lets the lease go.

It has one thread and handles no signal: they are blocked and waited for, so none is lost between
two checks.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional, Union

from genvx.core.ask import Ask
from genvx.core.run import (
    End,
    HoldWhen,
    Moment,
    Usage,
)
from genvx.core.runstate import (
    Failed,
    Held,
    Preparing,
    Running,
    Step,
    Stopped,
    StopReason,
    Waiting,
    settled,
    was_moved,
)
from genvx.core.text import printable
from genvx.local import processes
from genvx.local.granting import acquire
from genvx.local.runs import tree
from genvx.local.runs.record import StopRequest
from genvx.local.runs.start import start
from genvx.local.waiting import wait

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.queue import Standing
    from genvx.core.run import RunSpec
    from genvx.core.runstate import RunState
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold
    from genvx.local.runs.record import RunDirectory

SIGNALS = {signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM}
# How long it sleeps when nothing is due. A signal wakes it earlier.
_LOOK = 60.0
# How often a state is tried again that could not be written, and how soon leftovers are looked at.
_AGAIN = 1.0
_SOON = 0.1
# A timer of 0 seconds would never ring.
_LEAST = 0.001
# A reason to wait that changes is written this often at most; a place is written at once.
_NEWS = 5.0


def now() -> Moment:
    """This moment, by both clocks."""
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return Moment(wall, processes.boottime_ns())


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
    ) -> None:
        self._host = host
        self._spec = spec
        self._directory = directory
        self._accepted: Optional[Callable[[RunState], None]] = accepted
        self._boot = processes.boot_id()
        self._log = directory.create_log()
        self._unwritten: Optional[RunState] = None
        self._stop: Optional[StopRequest] = None
        self._begun = False
        self._told = 0.0

    def run(self, *, patience: Optional[float]) -> None:
        """Supervise the run to its end.

        patience: seconds to wait in line at most; None does not wait.

        Raises:
            GenvxError: it was not accepted; nothing was started, and nothing is held.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        hold = self._acquire(patience)
        if hold is None:
            self._finish_writing()
            return
        try:
            # If we are killed, the keeper ends the command in time. It is no child of ours, as long
            # as orphans do not come to us.
            hold.keep_time(spare=os.getpid(), supervised=True)
            tree.become_subreaper()
            state = self._hold_to_end(hold)
        finally:
            hold.release()
        self._write(state)
        self._notify(state)
        self._finish_writing()

    def _finish_writing(self) -> None:
        while self._unwritten is not None:
            # The end is known, and only its record is missing: wait for room on the disk.
            self._sleep(_AGAIN)
            self._write(self._unwritten)

    # Waiting

    def _acquire(self, patience: Optional[float]) -> Optional[LocalHold]:
        spec = self._spec
        ask = Ask(
            spec.requirements,
            spec.name,
            spec.id,
            command=" ".join(spec.argv),
            lasts=spec.seconds,
            patience=patience,
        )
        if patience is None:
            return acquire(self._host, ask)
        from genvx.errors import GenvxError

        try:
            return wait(self._host, ask, self._stands, _Stop(self))
        except GenvxError as error:
            if self._accepted is not None:
                raise
            self._end_without_start(error)
            return None

    def _stands(self, standing: Standing) -> None:
        state = Waiting(now(), standing.place, standing.reason)
        moved = self._accepted is not None or time.monotonic() >= self._told + _NEWS
        if moved:
            self._told = time.monotonic()
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

    def _hold_to_end(self, hold: LocalHold) -> RunState:
        """Run the command under a hold, again after failures; return how it ended."""
        self._write(Preparing(now(), Step.START))
        self._stop = self._stop or self._stop_request()
        if self._stop is not None:
            return Stopped(now(), self._stop.why, self._stop.by)
        self._begun = True
        attempt = 1
        while True:
            end = self._attempt(hold, attempt)
            if isinstance(end, Failed):
                return end
            if self._stop is not None:
                return Stopped(now(), self._stop.why, self._stop.by, end)
            if end.exit_code == 0 or attempt > self._spec.retries:
                self._keep(hold, end)
                return settled(end, now())
            self._say(f"attempt {attempt} ended with exit code {end.exit_code}; starting again")
            attempt += 1

    def _attempt(self, hold: LocalHold, attempt: int) -> Union[End, Failed]:
        """Start the command once and wait until it and all that it started has ended."""
        spec = self._spec
        try:
            pid = start(spec, hold, self._directory, self._log)
        except OSError as error:
            reason = f"cannot run {printable(spec.argv[0], 100)}: {error.strerror}"
            self._say(reason)
            failed = Failed(now(), step=Step.START, why=reason)
            self._accept(failed)
            return failed
        began = now()
        devices = tuple(device.uuid for device in hold.devices)
        running = Running(began, devices, pid, processes.starttime(pid), attempt)
        self._write(running)
        self._accept(running)
        expires = hold.lease.expires_ns
        status: Optional[int] = None
        kill_at: Optional[float] = None
        while status is None:
            status = self._reap(pid)
            if status is not None:
                break
            if self._stop is None and expires is not None and processes.boottime_ns() >= expires:
                self._stop = StopRequest(StopReason.TIME, os.getuid(), spec.grace)
            if self._stop is not None:
                kill_at = self._end_tree(self._stop, kill_at)
                self._sleep(_SOON)
            else:
                left = _LOOK
                if expires is not None:
                    left = min(left, (expires - processes.boottime_ns()) / 1e9)
                self._sleep(max(0.0, left if self._unwritten is None else _AGAIN))
        ended = now()
        self._end_leftovers(kill_at)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        usage = Usage(round(used.ru_utime, 3), round(used.ru_stime, 3), used.ru_maxrss * 1024)
        if os.WIFSIGNALED(status):
            return End(began, ended, signal=os.WTERMSIG(status), usage=usage)
        return End(began, ended, code=os.WEXITSTATUS(status), usage=usage)

    def _reap(self, leader: int) -> Optional[int]:
        """Collect what has ended below us; the status of the command if it is among that."""
        found = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return found
            if pid == 0:
                return found
            if pid == leader:
                found = status

    def _end_tree(self, request: StopRequest, kill_at: Optional[float]) -> float:
        """Have everything below us end: SIGTERM at first, SIGKILL once the grace is over. Returns
        when that is.
        """
        if kill_at is None:
            kill_at = time.monotonic() + (0.0 if request.force else request.grace)
            self._say(f"stopped ({request.why.value})")
            if not request.force:
                tree.signal_below(os.getpid(), signal.SIGTERM)
                # Who is stopped hears SIGTERM only once they go on.
                tree.signal_below(os.getpid(), signal.SIGCONT)
        if time.monotonic() >= kill_at:
            tree.signal_below(os.getpid(), signal.SIGKILL)
        return kill_at

    def _end_leftovers(self, kill_at: Optional[float]) -> None:
        """End what the command has left behind: nobody is there who could want it."""
        self._reap(0)
        left = tree.descendants(os.getpid())
        if left:
            many = "1 process" if len(left) == 1 else f"{len(left)} processes"
            self._say(f"ending what the command left behind: {many}")
        said = False
        request = self._stop or StopRequest(StopReason.ASKED, os.getuid(), self._spec.grace)
        if left and kill_at is None:
            tree.signal_below(os.getpid(), signal.SIGTERM)
            tree.signal_below(os.getpid(), signal.SIGCONT)
            kill_at = time.monotonic() + request.grace
        while tree.descendants(os.getpid()):
            if kill_at is not None and time.monotonic() >= kill_at:
                tree.signal_below(os.getpid(), signal.SIGKILL)
                if not said and time.monotonic() >= kill_at + request.grace:
                    said = True
                    stuck = ", ".join(map(str, tree.descendants(os.getpid())))
                    self._say(f"these do not end even by SIGKILL: {stuck}; the GPUs stay leased")
            self._sleep(_SOON)
            self._reap(0)

    # After the end

    def _keep(self, hold: LocalHold, end: End) -> None:
        """Keep devices and directory for a look, if that was asked for."""
        spec = self._spec
        if spec.hold is None or (spec.hold_when is HoldWhen.ON_FAILURE and end.exit_code == 0):
            return
        began = now()
        until = began.boottime_ns + spec.hold * 10**9
        if hold.lease.expires_ns is not None:
            until = min(until, hold.lease.expires_ns)
        moment = Moment(began.epoch_ns + until - began.boottime_ns, until)
        self._write(Held(began, moment, end))
        while self._stop is None and processes.boottime_ns() < until and hold.is_published():
            self._sleep(min(1.0, max(0.0, (until - processes.boottime_ns()) / 1e9)))

    def _notify(self, state: RunState) -> None:
        if not self._spec.notify or was_moved(state):
            return
        from genvx.local.runs.start import notify

        notify(self._spec, state, self._directory.path)

    # Common

    def _sleep(self, seconds: float) -> None:
        """Sleep until a signal comes, at most; then look for a request to end the run."""
        # A timer, and not sigtimedwait: if a stop (SIGSTOP) interrupts that and the time is over
        # when we go on, it returns garbage that may look like a signal (CPython 3.6 to 3.13).
        signal.setitimer(signal.ITIMER_REAL, max(seconds, _LEAST))
        received = signal.sigwaitinfo(SIGNALS)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._stop is None:
            self._stop = self._stop_request()
        # Whoever asks for an end writes that before they send a signal; a bare kill has not.
        if self._stop is None and received.si_signo == signal.SIGTERM:
            self._stop = StopRequest(StopReason.ASKED, os.getuid(), self._spec.grace)
        if self._unwritten is not None:
            self._write(self._unwritten)

    def _stop_request(self) -> Optional[StopRequest]:
        """That it is to end. To move it is possible until it begins, and ignored from then on."""
        request = self._directory.stop_request()
        moves = request is not None and request.why is StopReason.MOVED
        return None if moves and self._begun else request

    def _write(self, state: RunState) -> None:
        """Write a state; one that cannot be written is tried again later."""
        try:
            self._directory.write_state(state, self._boot)
            self._unwritten = None
        except OSError:
            self._unwritten = state

    def _say(self, line: str) -> None:
        """A line of ours in the log."""
        with suppress(OSError):
            os.write(self._log, f"genvx: {line}\n".encode("utf-8", "replace"))


class _Stop:
    """Ends the waiting in line on a request to end the run."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def wait(self, seconds: float) -> bool:
        self._supervisor._sleep(seconds)
        return self._supervisor._stop is not None
