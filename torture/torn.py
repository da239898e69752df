"""R1, first part: a run whose client or supervisor is killed at any system call of its submit.

As in F3 a victim stops, and strace attaches. There are three: the client, up to the answer; the
supervisor, up to the end of its run; and one whose run waits in line first.
"""

from __future__ import annotations

import collections
import mmap
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.wire.runoperations import StopRun
from genvx.errors import GenvxError
from genvx.local import waiting
from genvx.local.runs import launch
from torture import ground
from torture.trial import Outcome, Trial, until
from torture.truth import Home

_TRACED = (
    "openat,close,read,write,pread64,fcntl,flock,fchmod,?rename,renameat,renameat2,?unlink,"
    "unlinkat,?mkdir,mkdirat,getdents64,newfstatat,fstat,?readlink,readlinkat,?dup2,dup3,chdir,"
    "umask,pipe2,?fork,?vfork,clone,clone3,wait4,fsync,setsid,prctl,close_range,rt_sigprocmask,"
    "rt_sigtimedwait,setitimer,exit_group"
)
# What others can see, or what starts something.
_TELLING = (
    "rename", "renameat", "fsync", "unlink", "unlinkat", "mkdir", "mkdirat", "fork", "clone",
    "clone3", "write", "exit_group",
)  # fmt: skip
_CALL = re.compile(r"(\w+)\(")
_VICTIMS = ("client", "supervisor", "supervisor in line")
# Which calls a supervisor makes depends a little on the clock, so some points never come.
_LEAST_HIT = 0.7
# Those who wait look fifty times as often as usual.
_LOOK = 0.02


@dataclass(frozen=True)
class _Point:
    """The `when`-th call of its name since strace was there."""

    name: str
    when: int
    shown: str


class _Submission:
    """A run that is submitted while strace looks at one of the processes."""

    def __init__(self, home: Home, victim: str) -> None:
        self.home = home
        self.spec, self.job = home.job()
        self._of_client = victim == "client"
        self._in_line = victim == "supervisor in line"
        self._told = mmap.mmap(-1, 4096)
        self._pipe = os.pipe()

    def run(self, outcome: Outcome, injection: str | None, where: str, *, stop: bool) -> list[str]:
        """Submit it, with a fault; return the system calls. An orphan is stopped, or ends."""
        job = self.job
        with ExitStack() as stack:
            if self._in_line:
                host = stack.enter_context(self.home.host())
                stack.enter_context(host.acquire(Ask(Requirements(2))))
            if self._of_client:
                job.end()
            client = ground.fork(self._submit)
            victim = self._stopped(client)
            tracer = self._trace(victim, injection)
            os.kill(victim, signal.SIGCONT)
            if self._in_line:
                until(lambda: _gone(victim) or self.home.written(job.run) == "waiting")
        if not self._of_client:
            until(lambda: _gone(victim) or self.home.written(job.run) == "running")
            if _gone(victim):
                self._orphan(outcome, where, stop=stop)
            job.end()
        over = until(lambda: _gone(victim))
        outcome.check(over, f"{where}: it does not end")
        if not over:
            os.kill(victim, signal.SIGKILL)
        tracer.communicate()
        ground.kill(client)
        # A supervisor that was being forked has let go of the pipe when it is seen.
        os.close(self._pipe[1])
        os.read(self._pipe[0], 1)
        os.close(self._pipe[0])
        if self._supervisor:
            over = until(lambda: _gone(self._supervisor))
            outcome.check(over, f"{where}: its supervisor does not end")
            with suppress(ChildProcessError):  # the orphans of a namespace are its first process's
                os.waitpid(self._supervisor, os.WNOHANG)
        return (self.home.root / "trace").read_text("utf-8", "replace").splitlines()

    def _submit(self) -> None:
        supervise = launch.supervise

        def halted(*arguments: object) -> None:
            self._told[:4] = os.getpid().to_bytes(4, "little")
            if not self._of_client:
                os.kill(os.getpid(), signal.SIGSTOP)
            supervise(*arguments)  # type: ignore[arg-type]

        launch.supervise = halted
        waiting.LOOK = _LOOK
        if self._of_client:
            os.kill(os.getpid(), signal.SIGSTOP)
        with self.home.host() as host, suppress(GenvxError):
            launch.submit(host, self.spec, patience=1e6 if self._in_line else None, fork=True)

    def _stopped(self, client: int) -> int:
        """The pid of the victim, once it has stopped."""
        if self._of_client:
            os.waitpid(client, os.WUNTRACED)
            return client
        until(lambda: self._supervisor and _letter(self._supervisor) == "T")
        return self._supervisor

    @property
    def _supervisor(self) -> int:
        """The pid of the supervisor; 0 if there was none yet."""
        return int.from_bytes(self._told[:4], "little")

    def _trace(self, victim: int, injection: str | None) -> subprocess.Popen[str]:
        inject = [] if injection is None else ["-e", f"inject={injection}"]
        trace = self.home.root / "trace"
        tracer = subprocess.Popen(
            ["strace", "-o", trace, "-e", f"trace={_TRACED}", *inject, "-p", str(victim)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert tracer.stderr is not None
        while "attached" not in (line := tracer.stderr.readline()):
            if not line:
                os.kill(victim, signal.SIGKILL)
                raise SystemExit("strace cannot attach; is ptrace allowed here?")
        return tracer

    def _orphan(self, outcome: Outcome, where: str, *, stop: bool) -> None:
        """What the killed supervisor has started, if anything, holds its GPU."""
        job = self.job
        until(lambda: job.starts or not (self.home.held(job.run) or job.pid()))
        if job.starts:
            self.home.judge_orphan(outcome, job, where)
            if stop:
                with self.home.host() as host:
                    host.answer(StopRun(job.run, grace=1))


def _letter(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[0]


def _gone(pid: int) -> bool:
    return _letter(pid) in ("", "Z", "X")


def _points(trace: list[str]) -> list[_Point]:
    seen = collections.Counter[str]()
    points = []
    for line in trace:
        match = _CALL.match(line)
        if match is not None:
            seen[match[1]] += 1
            points.append(_Point(match[1], seen[match[1]], line[:90]))
    return points


def _few(points: list[_Point], chance: random.Random, most: int) -> list[_Point]:
    """Some of the calls that others see, in their order, and one of the rest."""
    telling = [point for point in points if point.name in _TELLING]
    chosen = chance.sample(telling, min(most, len(telling)))
    chosen += chance.sample([point for point in points if point not in telling], 1)
    return sorted(chosen, key=points.index)


def torn(trial: Trial, outcome: Outcome) -> None:
    """Kill each victim at every point; in the short form at a few."""
    hit = tried = 0
    for victim in _VICTIMS:
        chance = trial.chance(victim)
        for point in _points_of(trial, outcome, victim):
            if outcome.enough:
                return
            home = Home.made(trial.place / f"torn-{tried}")
            where = f"{victim} killed at {point.shown}"
            submission = _Submission(home, victim)
            injection = f"{point.name}:signal=KILL:when={point.when}"
            trace = submission.run(outcome, injection, where, stop=chance.random() < 0.5)
            killed = any("killed by SIGKILL" in line for line in trace[-2:])
            hit += killed
            tried += 1
            home.settle(outcome, submission.job, where, killed=killed and victim != "client")
            home.judge_rest(outcome, where)
            home.end_all()
            shutil.rmtree(home.root)
    outcome.check(hit >= tried * _LEAST_HIT, f"only {hit} of {tried} victims were killed")
    outcome.seen.append(f"{hit} kills at system calls")


def _points_of(trial: Trial, outcome: Outcome, victim: str) -> Iterator[_Point]:
    home = Home.made(trial.place / "whole")
    submission = _Submission(home, victim)
    trace = submission.run(outcome, None, victim, stop=False)
    home.settle(outcome, submission.job, f"{victim} that nobody kills")
    home.judge_rest(outcome, victim)
    shutil.rmtree(home.root)
    points = _points(trace)
    if not trial.full:
        points = _few(points, trial.chance(victim, "points"), 5)
    yield from points
