"""R1, second part: runs that are started over SSH, while clients, connections, agents, supervisors
and commands are killed at any moment.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

from genvx.cli import app, main
from genvx.cli.ask import where as asked_where
from genvx.cli.runs import detach
from genvx.cli.verbs.hold import run as run_verb
from genvx.fleet import sshhost
from genvx.fleet.detaching import runs as fleet_runs
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts import hostfile
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.pool import below
from torture.trial import Outcome, Trial, until, while_time
from torture.truth import Home, Job, Shown

_PRELOADED = (app, asked_where, detach, fleet_runs, hostfile, run_verb, sshhost)
_KINDS = ("client", "sshd", "genvx-agent", "supervisor", "command")


class _Crowd:
    """Clients that each start a run on one host, and what was killed."""

    def __init__(self, trial: Trial, gpus: int) -> None:
        self.sandbox = rooms.up(str(trial.place / "crowd"), [str(gpus)])
        (there,) = self.sandbox.hosts
        root = Path(there.directory)
        runs = Path(there.home, ".local", "share", "genvx", "runs")
        self.home = Home(root, there.variables(self.sandbox.directory), runs)
        self.log = trial.place / "crowd-log"
        self.jobs: list[Job] = []
        self.clients: set[int] = set()
        self.unsupervised: set[str] = set()
        self.environ = ground.command_environ(
            {"GENVX_HOSTFILE": self.sandbox.hostfile, "GENVX_SSH_CONFIG": self.sandbox.ssh_config}
        )
        # The first question has the agent lie there, which would take up most of the time.
        hosts = hostfile.load(self.sandbox.hostfile)
        with connect_fleet(hosts, config=self.sandbox.ssh_config) as fleet:
            fleet.snapshot().values()

    def start(self) -> None:
        spec, job = self.home.job()
        words = ["remote", "run", "-d", "--wait", "-g", "1", "--", *spec.argv]
        self.jobs.append(job)
        self.clients.add(ground.fork(lambda: self._command(words)))

    def _command(self, words: list[str]) -> None:
        os.setsid()
        os.environ.clear()
        os.environ.update(self.environ)
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        os._exit(main.run(words))

    def collect(self) -> None:
        self.clients -= {pid for pid in self.clients if os.waitpid(pid, os.WNOHANG)[0]}

    def kill(self, kind: str, chance: random.Random) -> bool:
        """SIGKILL one process of a kind, if there is one."""
        if kind == "client":
            found = sorted(self.clients)
        elif kind == "supervisor":
            found = [pid for _, pid in self.home.supervisors()]
        elif kind == "command":
            # It has said that it starts, or nobody could tell that it has.
            found = [pid for job in self.jobs if job.starts and (pid := job.pid())]
        else:
            found = sorted(below({server.pid for server in self.sandbox.servers}, kind))
        if not found:
            return False
        victim = chance.choice(found)
        # An agent that forks into a supervisor has its name for a moment.
        self.unsupervised |= {run for run, pid in self.home.supervisors() if pid == victim}
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        return True

    def with_runs(self) -> list[Job]:
        """The jobs with the ids of their runs; "" for one of which the host knows nothing."""
        by_told = {}
        for path in self.home.runs.glob("*/spec.json"):
            argv = json.loads(path.read_bytes())["argv"]
            by_told[argv[-1]] = path.parent.name
        return [replace(job, run=by_told.get(str(job.told), "")) for job in self.jobs]

    def end(self) -> None:
        for job in self.jobs:
            job.end()
        for pid in self.clients:
            ground.kill(pid)
        self.home.end_all()
        rooms.down(self.sandbox.directory)


def _all_over() -> bool:
    """Whether no agent and no supervisor lives in our namespace."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{name}/stat").read_text("utf-8", "replace")
                if "(genvx-" in text and text.rpartition(")")[2].split()[0] not in "ZX":
                    return False
    return True


def crowd(trial: Trial, outcome: Outcome) -> None:
    """Start runs, kill at random, let all commands end, and judge what is said of each."""
    count, gpus = trial.size(8, 60), trial.size(6, 30)
    seconds, pause = trial.size(3, 60), 0.25
    chance = trial.chance("crowd")
    hits = collections.Counter[str]()
    place = _Crowd(trial, gpus)
    try:
        started, next_fault = 0, 0.5
        for passed in while_time(seconds):
            place.collect()
            if started < min(count, 2 + passed * count / (seconds / 2)):
                place.start()
                started += 1
            if passed > next_fault:
                next_fault = passed + pause * chance.random() * 2
                kind = chance.choice(_KINDS)
                hits[kind] += place.kill(kind, chance)
            time.sleep(0.01)
        for job in place.jobs:
            job.end()
        until(lambda: place.collect() or not place.clients, 60)
        outcome.check(not place.clients, "a client of a run never ends")
        outcome.check(until(_all_over), "an agent or a supervisor never ends")
        for job in place.with_runs():
            _judge(outcome, place, job)
        place.home.judge_rest(outcome, "after a crowd")
        said = place.log.read_text() if place.log.exists() else ""
        for word in ("Traceback", "a fault of genvx"):
            at = said.find(word)
            outcome.check(at < 0, f"a client said: {said[at : at + 300]}")
        begun = sum(job.starts for job in place.jobs)
        outcome.check(begun, "no run of the crowd ever began")
    finally:
        place.end()
    killed = ", ".join(f"{hits[kind]} {kind}s" for kind in _KINDS)
    outcome.seen.append(f"{len(place.jobs)} runs over SSH, {begun} begun, killed {killed}")


def _judge(outcome: Outcome, place: _Crowd, job: Job) -> None:
    where = f"run {job.run} of a crowd"
    if not job.run:
        place.home.judge_end(outcome, job, Shown(), where)
    else:
        place.home.settle(outcome, job, where, killed=job.run in place.unsupervised)
