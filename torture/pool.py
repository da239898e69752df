"""F12: a hundred clients at a pool of 64 GPUs, killed and cut off at any moment.

The clients are the real command, over real SSH, to real agents. Each job that runs claims its
devices from the oracle, whatever genvx believes.
"""

from __future__ import annotations

import collections
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.terminals import Terminal
from genvx.cli import app, main
from genvx.cli.ask import where
from genvx.cli.verbs import remote
from genvx.cli.verbs.hold import activate, run
from genvx.fleet import sshhost as ssh
from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts import hostfile
from genvx.fleet.terminals import terminal
from genvx.sandbox import sandbox as rooms
from torture import ground, oracle
from torture.trial import Outcome, Trial, until, while_time

_PRELOADED = (activate, app, hostfile, remote, run, ssh, terminal, where)

_TIMEOUT = 60.0
# Whoever kills must come before a hundred clients, or hardly anybody is killed.
_AHEAD = -10
# A command that ignores SIGHUP has 10 s until SIGTERM.
_ALL_FREE_WITHIN = 60.0


@dataclass
class _Client:
    pid: int
    killed: bool = False
    close: Callable[[], object] = field(default=lambda: None)


class _Pool:
    """The hosts, the clients that run, and what they have told."""

    def __init__(self, trial: Trial, hosts: int, gpus: int) -> None:
        self.place = trial.place
        self.sandbox = rooms.up(str(trial.place / "sandbox"), [str(gpus)] * hosts)
        self.claims = ground.open_to_all(trial.place / "oracle")
        self.told = trial.place / "told"
        self.log = trial.place / "log"
        self.chance = trial.chance("clients")
        self.clients: list[_Client] = []
        self.codes: collections.Counter[int] = collections.Counter()
        self.environ = ground.command_environ(
            {"GENVX_HOSTFILE": self.sandbox.hostfile, "GENVX_SSH_CONFIG": self.sandbox.ssh_config}
        )
        self.most = gpus
        with self.fleet() as fleet:
            snapshots = fleet.snapshot().values()
            oracle.prepare(
                str(self.claims), (d.uuid for s in snapshots.values() for d in s.devices)
            )

    def fleet(self) -> Fleet:
        """The same hosts, for whoever looks on; nothing is shared with the clients."""
        return connect_fleet(
            hostfile.load(self.sandbox.hostfile), timeout=_TIMEOUT, config=self.sandbox.ssh_config
        )

    def start(self) -> None:
        """One more client: it wants a few devices for a moment, for a job that may be stubborn."""
        chance = self.chance
        seconds = f"{chance.random() * 3:.2f}"
        python = [*("python3", "-I", "-S"), oracle.__file__]
        job = [*python, str(self.claims), seconds, str(self.told)]
        if chance.random() < 0.2:
            job = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *job]
        gpus = str(chance.choice((1, 1, 1, 2, self.most)))
        where = ["remote", "-t", f"{_TIMEOUT:g}"]
        if chance.random() < 0.15:
            command = ["nice", "-n", f"{-_AHEAD}"] if ground.root() else []
            command += ground.genvx(*where, "activate", "--gpus", gpus, "--", *job)
            shown = Terminal(command, self.environ)
            self.clients.append(_Client(shown.pid, close=shown.close))
            return
        pid = ground.fork(lambda: self._command([*where, "run", "--gpus", gpus, "--", *job]))
        self.clients.append(_Client(pid))

    def _command(self, arguments: list[str]) -> None:
        _nice(0)
        os.setsid()
        os.environ.clear()
        os.environ.update(self.environ)
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(descriptor, target)
        os._exit(main.run(arguments))

    def collect(self) -> None:
        """Forget the clients that have ended."""
        for client in list(self.clients):
            done, status = os.waitpid(client.pid, os.WNOHANG)
            if done:
                self.clients.remove(client)
                if not client.killed:
                    self.codes[os.waitstatus_to_exitcode(status)] += 1
                with contextlib.suppress(ChildProcessError):
                    client.close()

    def kill_client(self) -> bool:
        living = [client for client in self.clients if not client.killed]
        if not living:
            return False
        client = self.chance.choice(living)
        client.killed = True
        os.kill(client.pid, signal.SIGKILL)
        return True

    def kill_far(self, name: str) -> bool:
        """SIGKILL a process of that name on a host: a connection's server, or an agent."""
        found = sorted(below({server.pid for server in self.sandbox.servers}, name))
        if not found:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.chance.choice(found), signal.SIGKILL)
        return True

    def end(self) -> None:
        for client in self.clients:
            client.killed = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(client.pid, signal.SIGKILL)
        until(lambda: self.collect() or not self.clients)


def below(servers: set[int], name: str) -> Iterator[int]:
    """Descendants of the servers with this name."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(f"/proc/{entry}/stat").read_text()
                before, _, after = text.rpartition(")")
                names[int(entry)] = before.partition("(")[2]
                parents[int(entry)] = int(after.split()[1])
    for pid, shown in names.items():
        above = parents[pid]
        while above in parents and above not in servers:
            above = parents[above]
        if above in servers and shown.startswith(name):
            yield pid


def pool(trial: Trial) -> Outcome:
    """F12."""
    outcome, counts = Outcome(), collections.Counter[str]()
    hosts, gpus = trial.size(2, 8), trial.size(2, 8)
    at_once, seconds = trial.size(8, 100), trial.size(8, 240)
    place = _Pool(trial, hosts, gpus)
    chance = trial.chance("faults")
    try:
        _nice(_AHEAD)
        next_fault = 2.0
        for passed in while_time(seconds):
            place.collect()
            while len(place.clients) < at_once:
                place.start()
                counts["clients"] += 1
            if passed > next_fault:
                next_fault = passed + _pause(chance, trial)
                kind = chance.choice(("client", "client", "sshd", "agent"))
                hit = (
                    place.kill_client()
                    if kind == "client"
                    else place.kill_far({"sshd": "sshd", "agent": "genvx-agent"}[kind])
                )
                counts[kind] += hit
            time.sleep(0.01)
        place.end()
        _account(outcome, place)
        _all_free(outcome, place, hosts, gpus)
    finally:
        _nice(0)
        place.end()
        rooms.down(place.sandbox.directory)
    jobs = _lines(place.told).count("used")
    outcome.check(jobs, "no job ever ran")
    outcome.seen.append(
        f"{counts['clients']} clients at {hosts * gpus} GPUs on {hosts} hosts, {jobs} jobs, "
        f"{counts['client']} clients, {counts['sshd']} connections and {counts['agent']} agents "
        f"killed: {sum(line.startswith('double') for line in _lines(place.told))} double"
    )
    return outcome


def _nice(value: int) -> None:
    if ground.root():
        os.setpriority(os.PRIO_PROCESS, 0, value)


def _pause(chance: random.Random, trial: Trial) -> float:
    return chance.random() * (0.5 if trial.full else 0.4)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _account(outcome: Outcome, place: _Pool) -> None:
    for line in _lines(place.told):
        outcome.check(line == "used", f"granted twice: {line}")
    text = place.log.read_text() if place.log.exists() else ""
    for word in ("Traceback", "a fault of genvx"):
        at = text.find(word)
        outcome.check(at < 0, f"a client said: {text[at : at + 300]}")
    outcome.check(not place.codes[1], f"exit codes {dict(place.codes)}")


def _all_free(outcome: Outcome, place: _Pool, hosts: int, gpus: int) -> None:
    """Nobody is left: everything can be had, and is."""

    with place.fleet() as fleet:

        def free() -> int:
            return sum(len(s.available) for s in fleet.snapshot().values().values())

        fine = until(lambda: free() == hosts * gpus, _ALL_FREE_WITHIN)
        outcome.check(fine, f"only {free()} of {hosts * gpus} are free afterwards")
        if fine:
            with contextlib.ExitStack() as stack:
                for _ in range(hosts):
                    stack.enter_context(fleet.activate(gpus))
                outcome.check(free() == 0, "what was taken is free")
