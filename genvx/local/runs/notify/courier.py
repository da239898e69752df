"""Delivers messages: each attempt in a process of its own, with a deadline, and a few attempts.

A process that sends is a subreaper in a session of its own, and ends itself when its time is over.
Whatever a notifier starts, and however it hides that, ends with the attempt. A process that hangs
where no alarm reaches, as in a resolver, is killed from here.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Optional

from genvx.core.notifying.notifier import Way
from genvx.core.text import printable
from genvx.local.runs import tree
from genvx.local.runs.notify.sending import Undelivered, send

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

    from genvx.core.notifying.message import Message
    from genvx.core.notifying.notifier import Notifier

# Seconds that an attempt may take; how many more it has to end itself; and the pauses before the
# second attempt and the third.
ATTEMPT = 20
_PATIENCE = 5.0
PAUSES = (2.0, 10.0)
_MOST_AT_ONCE = 8
_MOST_QUEUED = 64
_LONGEST_RESULT = 200
_RESET = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM),
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ),
)
_SENT, _FAILED, _LATER = b"+", b"-", b"~"
_SLOW = f"took longer than {ATTEMPT} s"


class _Job:
    def __init__(self, notifier: Notifier, message: Message) -> None:
        self.notifier = notifier
        self.message = message
        self.attempts = 0
        self.due = time.monotonic()
        self.pid = 0
        self.pipe = -1
        self.end = 0.0
        self.said = b""


class Courier:
    """Messages on their way. It is for processes with one thread.

    note: called with a notifier, a message, and what became of it in a few words: "sent", or why
    not.
    """

    def __init__(
        self, environ: Mapping[str, str], note: Callable[[Notifier, Message, str], object]
    ) -> None:
        self._environ = environ
        self._note = note
        self._jobs: list[_Job] = []

    def post(self, notifier: Notifier, message: Message) -> None:
        """Take a message for a notifier; it is sent while `tend` or `finish` is called."""
        if len(self._jobs) < _MOST_QUEUED:
            self._jobs.append(_Job(notifier, message))

    @property
    def is_done(self) -> bool:
        """Whether nothing is on its way."""
        return not self._jobs

    @property
    def pipes(self) -> list[int]:
        """The descriptors at which something is to be read."""
        return [job.pipe for job in self._jobs if job.pipe >= 0]

    @property
    def due(self) -> float:
        """Seconds until `tend` has something to do, if nothing can be read before."""
        now = time.monotonic()
        times = [job.end if job.pipe >= 0 else job.due for job in self._jobs]
        return max(0.0, min(times) - now) if times else 3600.0

    def tend(self) -> None:
        """Begin attempts that are due, and end those that are over. It never blocks."""
        for job in list(self._jobs):
            if job.pipe >= 0 and self._is_over(job):
                self._conclude(job)
        under_way = {id(job.notifier) for job in self._jobs if job.pipe >= 0}
        for job in self._jobs:
            # One after the other at each notifier, so that messages come in their order.
            if job.pipe < 0 and id(job.notifier) not in under_way:
                under_way.add(id(job.notifier))
                if job.due <= time.monotonic() and len(self.pipes) < _MOST_AT_ONCE:
                    self._begin(job)

    def finish(self) -> None:
        """Wait until all is delivered, or given up."""
        while not self.is_done:
            self.tend()
            poll = select.poll()
            for pipe in self.pipes:
                poll.register(pipe, select.POLLIN)
            poll.poll(round(min(self.due, 1.0) * 1000))

    def _begin(self, job: _Job) -> None:
        job.attempts += 1
        try:
            read, write = os.pipe()
        except OSError as error:
            self._again(job, f"cannot be started: {error.strerror}")
            return
        try:
            pid = os.fork()
        except OSError as error:
            os.close(read)
            os.close(write)
            self._again(job, f"cannot be started: {error.strerror}")
            return
        if pid == 0:
            try:
                os.close(read)
                _attempt(write, job.notifier, job.message, self._environ)
            finally:
                os._exit(1)
        os.close(write)
        os.set_blocking(read, False)
        job.pid, job.pipe, job.said = pid, read, b""
        job.end = time.monotonic() + ATTEMPT + _PATIENCE

    def _is_over(self, job: _Job) -> bool:
        with suppress(BlockingIOError):
            data = os.read(job.pipe, _LONGEST_RESULT)
            job.said += data
            if not data or len(job.said) > _LONGEST_RESULT:
                return True
        return time.monotonic() >= job.end

    def _conclude(self, job: _Job) -> None:
        os.close(job.pipe)
        _end(job.pid)
        job.pid, job.pipe = 0, -1
        kind, why = job.said[:1], printable(job.said[1:].decode("utf-8", "replace"), 100)
        if kind == _SENT:
            self._over(job, "sent")
        elif kind == _FAILED:
            self._over(job, why)
        elif kind == _LATER:
            self._again(job, why)
        else:
            self._over(job, _SLOW)

    def _again(self, job: _Job, why: str) -> None:
        if job.attempts > len(PAUSES):
            self._over(job, f"{why}; given up after {job.attempts} attempts")
        else:
            job.due = time.monotonic() + PAUSES[job.attempts - 1]

    def _over(self, job: _Job, result: str) -> None:
        self._jobs.remove(job)
        self._note(job.notifier, job.message, result)


def _attempt(write: int, notifier: Notifier, message: Message, environ: Mapping[str, str]) -> None:
    os.setsid()
    tree.become_subreaper()
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    kept = os.dup2(write, 3)
    os.set_inheritable(kept, False)
    os.closerange(4, 65536)

    def give_up(number: int, frame: object) -> None:
        # A command may have done most of its work, and a second attempt would do it again. A
        # receiver of the web tells doubles by their key.
        raise Undelivered(_SLOW, again=notifier.way in (Way.WEBHOOK, Way.SLACK))

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(ATTEMPT)
    try:
        send(notifier, message, environ)
    except Undelivered as error:
        result = (_LATER if error.again else _FAILED) + str(error).encode("utf-8", "replace")
    else:
        result = _SENT
    signal.alarm(0)
    os.write(kept, result[:_LONGEST_RESULT])
    _end_all()


def _end_all() -> None:
    """End what a notifier has left behind; we are the subreaper above it."""
    while not tree.is_empty():
        tree.signal_below(os.getpid(), signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _end(pid: int) -> None:
    """End an attempt with all that is below it."""
    # Several looks: what forks while we look may be missed by one.
    for _ in range(3):
        if not tree.signal_below(pid, signal.SIGKILL):
            break
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _reap(pid)


def _reap(pid: int) -> Optional[int]:
    with suppress(ChildProcessError):
        return os.waitpid(pid, 0)[1]
    return None
