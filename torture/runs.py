"""R1: runs, torn in every way: what is said of them stays true.

At system calls (torn.py); at any moment over SSH, with killed clients, sessions, agents,
supervisors and commands (crowd.py); and here after a reboot, on a full disk and with wrong clocks.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

from genvx.core.wire.runoperations import StopRun
from genvx.errors import GenvxError, StateError
from genvx.local.runs.launch import submit
from torture import ground
from torture.crowd import crowd
from torture.disks import empty, fill
from torture.torn import torn
from torture.trial import Outcome, Trial, until
from torture.truth import Home, Job, Shown

_TEN_YEARS = 10 * 365 * 86400
_MEGABYTES = 1
_PAGE = 4096
# More than a run needs for its record, its log and its first states.
_MOST_PAGES = 6


def runs(trial: Trial) -> Outcome:
    """R1."""
    outcome = Outcome()
    for part in (_running, _reboot, _full_disk, _clocks, torn, crowd):
        if not outcome.enough:
            part(trial, outcome)
    return outcome


def _start(home: Home, **more: object) -> Job:
    """Submit a run from a process of its own; return once it runs."""
    spec, job = home.job(**more)

    def act() -> None:
        with home.host() as host:
            submit(host, spec, fork=True)

    os.waitpid(ground.fork(act), 0)
    until(lambda: job.starts)
    return job


def _running(trial: Trial, outcome: Outcome) -> None:
    """SIGKILL of the command of a run that runs, and of its supervisor."""
    place = trial.place / "running"
    home = Home.made(place)
    job = _start(home)
    pid = job.pid()
    outcome.check(pid, "a command that has started is not there")
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    home.settle(outcome, job, "a killed command")
    for stop in (False, True):
        where = f"a killed supervisor, {'stopped' if stop else 'ends'}"
        job = _start(home)
        for _, pid in home.supervisors():
            os.kill(pid, signal.SIGKILL)
        until(lambda run=job.run: not home.supervised(run))
        home.judge_orphan(outcome, job, where)
        if stop:
            with home.host() as host:
                host.answer(StopRun(job.run, grace=1))
            outcome.check(not job.pid(), f"{where}: its command lives on")
        job.end()
        home.settle(outcome, job, where, killed=True)
    home.judge_rest(outcome, "killed while it ran")


def _reboot(trial: Trial, outcome: Outcome) -> None:
    """After another boot what ran is lost, and what had ended is as it was."""
    place = trial.place / "boot"
    home = Home.made(place)
    over, runs = _start(home), _start(home)
    over.end()
    home.settle(outcome, over, "a run before a reboot")
    # A copy has no locks, as after a reboot.
    copy = place / "copy"
    shutil.copytree(home.state, copy)
    shown = home.elsewhere(copy).shown(boot=True)
    outcome.check(shown.get(over.run) == Shown("failed", 7), f"after a reboot: {shown}, had ended")
    outcome.check(shown.get(runs.run) == Shown("lost"), f"after a reboot: {shown}, had run")
    runs.end()
    home.settle(outcome, runs, "a run that knows of no reboot")
    home.judge_rest(outcome, "a reboot")


def _full_disk(trial: Trial, outcome: Outcome) -> None:
    """The disk of the runs gets full while some run, and is nearly full while others start."""
    place = trial.place / "full"
    place.mkdir()
    with ground.mounted("tmpfs", place / "disk", _MEGABYTES) as disk:
        home = Home.made(place / "home", disk / "runs")
        ends, stopped = _start(home), _start(home)
        fill(disk)
        ends.end()
        with home.host() as host:
            host.answer(StopRun(stopped.run))
        for job in (ends, stopped):
            fine = until(lambda job=job: not home.held(job.run), 20)
            outcome.check(fine, "full disk: a run that ends keeps its GPU")
        for job in (ends, stopped):
            shown = home.shown().get(job.run, Shown())
            outcome.check(shown == Shown("running"), f"full disk: an end is invented: {shown}")
        empty(disk)
        home.settle(outcome, ends, "a disk that was full")
        home.settle(outcome, stopped, "a disk that was full, stopped")
        shown = home.shown()[stopped.run]
        outcome.check(shown.state == "stopped", f"full disk: it was stopped, and is {shown}")
        for pages in range(_MOST_PAGES):
            _start_on(outcome, home, disk, pages)
        home.judge_rest(outcome, "a full disk")
    outcome.seen.append(f"a full disk, and {_MOST_PAGES} nearly full ones")


def _start_on(outcome: Outcome, home: Home, disk: Path, pages: int) -> None:
    """Start a run where so many pages are left: all or nothing, and what it says is true."""
    where = f"a disk with {pages} free pages"
    for number in range(pages):
        (disk / f"page{number}").write_bytes(b"x" * _PAGE)
    fill(disk)
    for number in range(pages):
        (disk / f"page{number}").unlink()
    before = set(os.listdir(home.runs))
    spec, job = home.job()
    with home.host() as host:
        try:
            submit(host, spec)
        except StateError as error:
            outcome.check(str(error).isprintable(), f"{where}: not one line: {error!r}")
            outcome.check("full" in str(error), f"{where}: does not say why: {error}")
            until(lambda: not home.lives(job.run), 10)
            outcome.check(not job.starts, f"{where}: refused, and started")
            left = set(os.listdir(home.runs)) - before
            outcome.check(not left, f"{where}: refused, and left {left}")
        except GenvxError as error:
            outcome.violated(f"{where}: {type(error).__name__}: {error}")
        else:
            until(lambda: job.starts)
            shown = home.shown().get(job.run, Shown())
            outcome.check(shown.state in ("preparing", "running"), f"{where}: it runs, {shown}")
    job.end()
    until(lambda: not home.held(job.run))
    empty(disk)
    home.settle(outcome, job, where)


def _clocks(trial: Trial, outcome: Outcome) -> None:
    """The wall clock of a run's host is years ahead or behind, and right again for who asks."""
    place = trial.place / "clocks"
    home = Home.made(place)
    library = ground.preloaded("wrong_clock", place)
    jobs = []
    for years in (_TEN_YEARS, -_TEN_YEARS):
        spec, job = home.job()
        wrong = {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(years)}
        environ = ground.command_environ(home.variables | wrong)
        command = ground.genvx("run", "-d", "-g", "1", "--time", "1h", "--", *spec.argv)
        answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        run = answer.stdout.strip()
        jobs.append(Job(run, job.told, job.go))
        outcome.check(run, f"a clock wrong by {years} s: {answer.stderr}")
    for job in jobs:
        until(lambda job=job: job.starts)
        shown = home.shown().get(job.run, Shown())
        outcome.check(shown == Shown("running"), f"a wrong clock: {shown}")
        job.end()
        home.settle(outcome, job, "a wrong clock")
    home.judge_rest(outcome, "wrong clocks")
