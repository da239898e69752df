"""F21: questions and commands while the process that keeps connections, or one that carries a
command, is killed or stopped at any moment, and connections are cut or fall silent.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from genvx.cli import main
from genvx.cli.views import envs
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.fleet import sshhost
from genvx.keeping import asking, starting, warm
from genvx.local.host import LocalHost
from genvx.sandbox import record
from genvx.sandbox import sandbox as rooms
from genvx.ssh import link
from torture import ground
from torture.pool import below
from torture.trial import Outcome, Trial, until

_PRELOADED = (envs, link, main, sshhost, warm)
_FAULTS = ("nothing", "killed", "stopped", "cut", "silent", "withdrawn")
# Of commands also: one that ends the process that carries it, and one whose client is killed.
_OF_COMMANDS = (*_FAULTS, "carrier", "client")
_QUESTION = ["remote", "envs", "--json"]
# The code of a command that has run to its end.
_DONE = 7
# The deadline of a host is 15 s, and a question that a keeper has lost is asked once more.
_LIMIT = 20.0


def keeping(trial: Trial) -> Outcome:
    """F21."""
    outcome = Outcome()
    longest, warmly, ran = 0.0, 0, 0
    with _ground(trial) as ground_of:
        rounds = trial.size(1, 40)
        for number in range(rounds):
            chance = trial.chance(number)
            for fault in chance.sample(_FAULTS, len(_FAULTS)):
                took, kept = ground_of.question(outcome, fault, chance)
                longest, warmly = max(longest, took), warmly + kept
                if outcome.enough:
                    break
            for fault in chance.sample(_OF_COMMANDS, len(_OF_COMMANDS)):
                ran += ground_of.command(outcome, fault, chance)
                if outcome.enough:
                    break
        asked = rounds * len(_FAULTS)
        outcome.check(warmly, "no question found a keeper")
        outcome.check(ran, "no command was carried")
        ground_of.stop()
        gone = until(lambda: not list(below(ground_of.servers, "genvx-")))
        outcome.check(gone, "an agent outlived its keeper")
    outcome.seen.append(
        f"{asked} questions, {warmly} of them to a keeper, the longest took {longest:.1f} s; "
        f"{rounds * len(_OF_COMMANDS)} commands, {ran} of them with a carrier there"
    )
    return outcome


class _Ground:
    """A host, what is held there, and the keepers of whoever asks about it."""

    def __init__(self, sandbox: record.Sandbox, environ: dict[str, str], log: Path) -> None:
        (room,) = sandbox.hosts
        self.servers = {server.pid for server in sandbox.servers}
        self._log = log
        self._left = log.parent / "left"
        self._environ = environ
        self._known = Path(sandbox.directory, "known_hosts")
        self._there = LocalHost(
            "there", environ={**os.environ, **room.variables(sandbox.directory)}
        )
        self._held: list[str] = []

    def question(self, outcome: Outcome, fault: str, chance: random.Random) -> tuple[float, int]:
        """Change what is held, ask for it under a fault, and compare; return the seconds that it
        took, and whether there was a keeper.
        """
        if not self._keepers():
            starting.start(self._environ)
            until(self._keepers)
        keepers = self._keepers()
        # With a connection, which the fault may then concern.
        self._ask()
        self._change()
        known = self._known.read_text()
        sessions = list(below(self.servers, "sshd"))
        if fault == "withdrawn":
            self._known.write_text("")
        self._signal({"stopped": keepers, "silent": sessions}.get(fault, []), signal.SIGSTOP)
        self._signal(sessions if fault == "cut" else [], signal.SIGKILL)
        begin = time.monotonic()
        pid = self._start(_QUESTION)
        if fault == "killed":
            time.sleep(chance.uniform(0.0, 0.15))
            self._signal(keepers, signal.SIGKILL)
        code = self._end(pid)
        took = time.monotonic() - begin
        self._signal([*keepers, *sessions], signal.SIGCONT)
        self._known.write_text(known)
        said = self._log.read_text("utf-8", "replace")
        outcome.check(took < _LIMIT, f"{fault}: it took {took:.1f} s")
        if fault == "withdrawn":
            outcome.check(
                code == 4 and "host-key" in said, f"{fault}: exit code {code}, said {said[-300:]}"
            )
        else:
            outcome.check(
                code == 0 and self._named(said) == sorted(self._held),
                f"{fault}: exit code {code}, held {sorted(self._held)}, said {said[-300:]}",
            )
        return took, len(keepers)

    def command(self, outcome: Outcome, fault: str, chance: random.Random) -> int:
        """Run a command under a fault; it leaves a line of its own. Return whether there was a
        carrier for it.
        """
        if not self._keepers():
            starting.start(self._environ)
            until(self._keepers)
        # So that a carrier is there and ready.
        self._run("true")
        until(lambda: len(self._carriers()) > 0, 2.0)
        keepers, carriers = self._keepers(), self._carriers()
        word = f"{chance.getrandbits(64):016x}"
        known = self._known.read_text()
        sessions = list(below(self.servers, "sshd"))
        if fault == "withdrawn":
            self._known.write_text("")
        if fault == "silent":
            # Later than the last sign of life that counts.
            time.sleep(1.2)
        self._signal({"stopped": keepers, "silent": sessions}.get(fault, []), signal.SIGSTOP)
        begin = time.monotonic()
        script = f"echo {word} >> {self._left}; sleep 0.1; exit {_DONE}"
        if fault == "client":
            script = f"echo {word} >> {self._left}; exec sleep 600"
        pid = self._start(["remote", "run", "-q", "-g", "1", "--", "sh", "-c", script])
        victims = {"killed": keepers, "carrier": carriers, "cut": sessions, "client": [pid]}
        if fault in victims:
            time.sleep(chance.uniform(0.0, 0.4))
            self._signal(victims[fault], signal.SIGKILL)
        code = self._end(pid)
        took = time.monotonic() - begin
        self._signal([*keepers, *sessions], signal.SIGCONT)
        self._known.write_text(known)
        if fault == "withdrawn":
            # It would leave the host to commands for five minutes.
            self._signal(keepers, signal.SIGKILL)
            until(lambda: not self._keepers())
        said = self._log.read_text("utf-8", "replace")[-300:]
        outcome.check(took < _LIMIT, f"{fault}: a command took {took:.1f} s")
        ran = self._left.read_text().split().count(word) if self._left.exists() else 0
        allowed = {
            "withdrawn": ((4, 0),),
            # Lost before, while or after it ran; never twice.
            "carrier": ((_DONE, 1), (4, 0), (4, 1)),
            "cut": ((_DONE, 1), (4, 0), (4, 1)),
            "client": ((-signal.SIGKILL, 0), (-signal.SIGKILL, 1)),
        }.get(fault, ((_DONE, 1),))
        outcome.check(
            (code, ran) in allowed,
            f"{fault}: a command with exit code {code} ran {ran} times, said {said}",
        )
        free = until(lambda: self._environments() == sorted(self._held))
        outcome.check(free, f"{fault}: a GPU is still held after its command")
        return bool(carriers)

    def _environments(self) -> list[str]:
        return sorted(env.id for env in self._there.snapshot().environments)

    def _run(self, *command: str) -> None:
        self._end(self._start(["remote", "run", "-q", "-g", "1", "--", *command]))

    def _carriers(self) -> list[int]:
        """Processes that carry commands."""
        return list(below(set(self._keepers()), "genvx-carrier"))

    def _change(self) -> None:
        if self._held:
            self._there.release(self._held.pop())
        else:
            grant = self._there.reserve(Ask(Requirements(1), lasts=600.0))
            self._held.append(grant.environment_id)

    def _named(self, said: str) -> list[str]:
        with contextlib.suppress(ValueError, LookupError):
            (host,) = json.loads(said)["hosts"]
            return sorted(each["id"] for each in host["environments"])
        return ["nothing that can be read"]

    def _ask(self) -> None:
        self._end(self._start(_QUESTION))

    def _start(self, words: list[str]) -> int:
        return ground.fork(lambda: self._command(words))

    def _command(self, words: list[str]) -> None:
        os.environ.clear()
        os.environ.update(self._environ)
        log = os.open(self._log, os.O_WRONLY | os.O_TRUNC | os.O_CREAT, 0o600)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        code = main.run(words)
        os._exit(code)

    def _end(self, pid: int) -> int:
        over: list[int] = []

        def ended() -> bool:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                over.append(os.waitstatus_to_exitcode(status))
            return bool(found)

        if not until(ended, _LIMIT * 2):
            ground.kill(pid)
        return over[0] if over else -1

    def _keepers(self) -> list[int]:
        return [
            said["pid"] for said in asking.tell(self._environ, "status") if isinstance(said, dict)
        ]

    def _signal(self, pids: list[int], number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End the keepers."""
        self._signal(self._keepers(), signal.SIGTERM)
        self._there.close()


@contextlib.contextmanager
def _ground(trial: Trial) -> Iterator[_Ground]:
    sandbox = rooms.up(str(trial.place / "kept"), ["2"], server="openssh")
    runtime = trial.place / "runtime"
    runtime.mkdir(mode=0o700)
    environ = ground.command_environ(
        {
            "GENVX_HOSTFILE": sandbox.hostfile,
            "GENVX_SSH_CONFIG": sandbox.ssh_config,
            "GENVX_KEEP": "10m",
            "XDG_RUNTIME_DIR": str(runtime),
        }
    )
    made = _Ground(sandbox, environ, trial.place / "said")
    try:
        yield made
    finally:
        made.stop()
        rooms.down(sandbox.directory)
