"""The workers of an executor and the calls that they are given, moved by one thread.

All that this thread has is its own; others hand it functions (`_tell`), which it calls. Only the
end needs a lock: a call that is submitted is done, or refused.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from genvx.errors import GenvxError, ProtocolError, WorkerDied
from genvx.fleet.executing.growing import Growth
from genvx.fleet.executing.printing import Printer
from genvx.fleet.executing.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.executing.calls import Call
    from genvx.fleet.executing.member import Member
    from genvx.fleet.executing.recruiting import Recruiter

# Seconds between looks at workers that have a call, and at those that have none.
_LOOK = 1.0
_IDLE = 5.0
# Seconds that a worker has to end by itself, and after we hung up.
_ENDING = 10.0
_STOPPING = 3.0


class Crew:
    """Crew gives calls to workers, and has more of them started while calls wait.

    first: a worker that is there. limit: the most of them. retries: how often a call is made again
    whose worker has died. prepare: makes the call that each worker begins with; None for none.
    """

    def __init__(
        self,
        first: Member,
        recruiter: Recruiter,
        *,
        limit: int,
        retries: int,
        as_json: bool,
        prepare: Callable[[], Call] | None,
    ) -> None:
        self._as_json = as_json
        self._retries = retries
        self._prepare = prepare
        self.pid = os.getpid()
        self._waiting: deque[Call] = deque()
        self._members: set[Member] = set()
        self._idle: deque[Member] = deque()
        self._preparing: set[Member] = set()
        # Workers that seemed to have exited when we last looked.
        self._doubtful: set[Member] = set()
        self._look_at = 0.0
        # Workers that a thread ends, and those of them that may leave a call to make again.
        self._ending = self._dying = 0
        self._stopped = False
        self._broken: BaseException | None = None
        # Held while a call comes, and while the end is decided.
        self._lock = threading.Lock()
        self._closed = self._over = False
        self._told: deque[Callable[[], object]] = deque()
        self._watch = Watch()
        self._printer = Printer()
        self._growth = Growth(
            recruiter, limit, tell=self._tell, join=self._join, fail=self._without_workers
        )
        self._join(first)
        self._thread = threading.Thread(target=self._run, name="genvx executor", daemon=True)
        self._thread.start()

    # For other threads

    def submit(self, call: Call) -> None:
        """Make a call when a worker is free for it.

        Raises:
            RuntimeError: the executor is shut down. Or why no worker can be prepared.
        """
        with self._lock:
            if self._broken is not None:
                raise self._broken
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append(call)
            self._watch.ring()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts of the workers, one for each, in order."""
        return tuple(sorted(member.name for member in tuple(self._members)))

    def close(self, *, cancel: bool = False) -> None:
        """Take no more calls; end when those that are there are done. cancel: drop what waits."""
        self._end(self._cancel_waiting if cancel else lambda: None)

    def stop(self) -> None:
        """Take no more calls, and end all workers with what they have started."""
        self._end(self._stop)

    def _end(self, act: Callable[[], object]) -> None:
        with self._lock:
            self._closed = True
            if not self._over:
                self._tell(act)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all has ended, so many seconds at most."""
        # A callback of a future runs in our thread, and may shut the executor down.
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def forget(self) -> None:
        """Let go of the workers in a forked child: they are its parent's."""
        for member in tuple(self._members):
            member.hang_up()

    def _tell(self, act: Callable[[], object]) -> None:
        """Have our thread call a function; for those for whom it waits, or that have the lock."""
        self._told.append(act)
        self._watch.ring()

    # Our thread

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._turn()
        except BaseException as error:
            self._fail_all(error)
            raise
        finally:
            self._watch.close()
            self._printer.close()

    def _is_over(self) -> bool:
        with self._lock:
            busy = self._waiting or self._told or self._members or self._ending
            self._over = self._closed and not busy and not self._growth.busy
            return self._over

    def _fail_all(self, error: BaseException) -> None:
        """Fail every call after a fault of ours: nobody waits for ever."""
        fault = GenvxError(f"a fault of genvx: {type(error).__name__}: {error}")
        fault.__cause__ = error
        with self._lock:
            self._broken, self._closed, self._over = fault, True, True
        for member in tuple(self._members):
            if member.call is not None:
                member.call.fail(fault)
            member.hang_up()
        for call in self._waiting:
            call.fail(fault)

    def _turn(self) -> None:
        at_work = self._waiting or len(self._idle) < len(self._members)
        for member, says in self._watch.wait(_LOOK if at_work else _IDLE):
            if says:
                self._receive(member)
            else:
                self._write(member, [])
        while self._told:
            self._told.popleft()()
        self._give()
        if self._closed and not self._waiting and not self._dying:
            self._growth.stop()
            while self._idle:
                self._part(self._idle[0])
        self._growth.look(len(self._waiting), self.hosts)
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK
            self._look_after()

    # Calls

    def _give(self) -> None:
        """Give calls that wait to workers that have none."""
        while self._waiting and (self._idle or self._waiting[0].future.cancelled()):
            call = self._waiting.popleft()
            if not call.begin():
                continue
            try:
                pieces = call.frame()
            except GenvxError as error:
                call.fail(error)
                continue
            member = self._idle.popleft()
            member.call = call
            self._write(member, pieces)

    def _write(self, member: Member, pieces: list[bytes | memoryview]) -> None:
        try:
            member.send(pieces)
        except OSError:
            self._bury(member)
        else:
            self._watch.written(member)

    def _receive(self, member: Member) -> None:
        try:
            frames = member.receive()
        except (ProtocolError, OSError):
            frames = None
        if frames is None:
            return self._bury(member)
        for frame in frames:
            call, member.call = member.call, None
            if call is None:
                return self._bury(member)  # nobody has asked
            self._idle.append(member)
            if member not in self._preparing:
                # First the next call: the worker need not wait while we read a result.
                self._give()
            call.settle(frame, member.name, member.python, as_json=self._as_json)
            if member in self._preparing:
                self._preparing.discard(member)
                error = call.future.exception()
                if error is not None:
                    self._break(error)

    def _break(self, error: BaseException) -> None:
        """Fail all that waits, and all that comes: no worker can be prepared."""
        with self._lock:
            self._broken, self._closed = error, True
        self._without_workers(error)

    def _without_workers(self, error: BaseException) -> None:
        if not self._members or self._broken is not None:
            while self._waiting:
                self._waiting.popleft().fail(error)

    def _cancel_waiting(self) -> None:
        # A call whose worker has died, and that is to be made again, runs as far as its future
        # knows.
        kept = [call for call in self._waiting if not call.cancel()]
        self._waiting.clear()
        self._waiting.extend(kept)

    # Workers

    def _join(self, member: Member) -> None:
        """Take a worker in that was started."""
        self._members.add(member)
        self._watch.add(member)
        self._printer.add(member)
        if self._stopped:
            return self._part(member, hang_up=True)
        if self._prepare is None:
            return self._idle.append(member)
        call = self._prepare()
        call.begin()
        try:
            pieces = call.frame()
        except GenvxError as error:
            self._idle.append(member)
            return self._break(error)
        self._preparing.add(member)
        member.call = call
        self._write(member, pieces)

    def _look_after(self) -> None:
        for member in tuple(self._members):
            try:
                member.keep_alive()
            except OSError:
                self._bury(member)
                continue
            # What a dead worker has started may keep its streams open, and its last answer may be
            # on its way. So a worker that has exited and says nothing for a while is dead.
            if not member.exited or member.says_something:
                self._doubtful.discard(member)
            elif member in self._doubtful:
                self._bury(member)
            else:
                self._doubtful.add(member)

    def _leave_out(self, member: Member) -> bool:
        """Count a worker out; return False if it was already."""
        if member not in self._members:
            return False
        self._members.discard(member)
        self._doubtful.discard(member)
        self._watch.drop(member)
        if member in self._idle:
            self._idle.remove(member)
        return True

    def _part(self, member: Member, *, hang_up: bool = False) -> None:
        """End a worker: as soon as it has nothing to do, or at once."""
        if not self._leave_out(member):
            return
        if hang_up:
            member.hang_up()
            self._in_thread(lambda: member.leave(_STOPPING), member)
        else:
            self._in_thread(lambda: member.end(_ENDING), member)

    def _bury(self, member: Member) -> None:
        """Find out how a worker has ended, and what becomes of its call."""
        if not self._leave_out(member):
            return
        self._dying += 1
        found = [WorkerDied(f"{member.name}: the worker is gone")]

        def find() -> None:
            found.append(member.why_ended())

        self._in_thread(find, member, lambda: self._after_death(member, found[-1]))

    def _after_death(self, member: Member, error: WorkerDied) -> None:
        call = member.call
        self._dying -= 1
        self._growth.soon()
        if member in self._preparing:
            self._preparing.discard(member)
            self._break(error)
        elif call is None:
            pass
        elif call.tries <= self._retries and not self._stopped:
            self._waiting.appendleft(call)
        else:
            call.fail(error)

    def _in_thread(
        self,
        act: Callable[[], object],
        member: Member,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Do what blocks, for a worker that ends; then let go of it, and call `after`."""
        self._ending += 1

        def done() -> None:
            self._printer.drop(member)
            member.close()
            self._ending -= 1
            after()

        def run() -> None:
            try:
                act()
            finally:
                self._tell(done)

        try:
            threading.Thread(target=run, name=f"genvx {member.name}", daemon=True).start()
        except RuntimeError:
            run()  # no thread can be started at the end of the program

    def _stop(self) -> None:
        self._stopped = True
        self._cancel_waiting()
        for call in self._waiting:
            call.fail(WorkerDied("the executor was stopped"))
        self._waiting.clear()
        for member in tuple(self._members):
            if member.call is not None:
                member.call.fail(WorkerDied(f"{member.name}: the worker was stopped"))
            self._part(member, hang_up=True)
