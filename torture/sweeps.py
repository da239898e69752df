"""W4: a sweep whose process, connections and trials are killed at any moment: each trial counts
once.

The trials say themselves when they begin, in a file that genvx does not know, and hold a lock of
their own on the GPU that they were given.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.trial import Outcome, Trial, until

_HOSTS = ("2", "2")
_COMMAND = """
exec 9>"$HOME/claim-$CUDA_VISIBLE_DEVICES"
flock -n 9 || echo "$GENVX_TRIAL" >> {place}/clashes
echo "$GENVX_TRIAL $$" >> {place}/begun
sleep 0.{tenths} 9>&-
echo {{lr}} >> "$GENVX_REPORT"
"""
_PATIENCE = 120.0


@dataclass
class _Sweep:
    """The sweep that is tried, and the process that runs it at this moment."""

    place: Path
    environ: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str) -> None:
        with open(self.place / "log", "ab") as log:
            self.process = subprocess.Popen(
                ground.genvx(*words), env=self.environ, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def begun(self) -> list[tuple[int, int]]:
        """The trials that have begun, with their pids, in their order."""
        try:
            lines = (self.place / "begun").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(int(number), int(pid)) for number, pid in (line.split() for line in lines)]

    def shown(self) -> dict[str, object]:
        done = subprocess.run(
            ground.genvx("sweeps", "export", "--json"), env=self.environ, capture_output=True,
            check=False,
        )  # fmt: skip
        found: dict[str, object] = json.loads(done.stdout)
        return found


def sweeps(trial: Trial) -> Outcome:
    """W4."""
    outcome = Outcome()
    trials, kills = trial.size(8, 200), trial.size(4, 50)
    chance = trial.chance("kills")
    sandbox = rooms.up(str(trial.place / "sandbox"), list(_HOSTS))
    environ = ground.command_environ(
        {
            "GENVX_HOSTFILE": sandbox.hostfile,
            "GENVX_SSH_CONFIG": sandbox.ssh_config,
            "XDG_DATA_HOME": str(trial.place / "data"),
        }
    )
    sweep, killed = _Sweep(trial.place, environ), set[int]()
    command = _COMMAND.format(place=trial.place, tenths=chance.randint(2, 5))
    try:
        sweep.run(
            "remote", "sweep", "-P", "lr=0..1", "--tuner", "random", "--trials", str(trials),
            "-g", "1", "--retries", "3", "--", "sh", "-c", command,
        )  # fmt: skip
        until(sweep.begun)
        for turn in range(kills):
            time.sleep(chance.random() * trial.size(1, 3))
            # The process of the sweep first: whatever comes, that is tried.
            what = 0 if turn == 0 else chance.randrange(3)
            if what == 0:
                sweep.kill()
                sweep.run("sweeps", "resume")
            elif what == 1:
                _cut(chance.choice(sandbox.servers).pid)
            elif sweep.begun():
                number, pid = sweep.begun()[-1]
                if _is_trial(pid, number):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(number)
        process = sweep.process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE + trials)
        outcome.check(process.poll() is not None, "the sweep does not end")
        _judge(outcome, sweep, trials, killed)
        outcome.seen.append(f"{trials} trials, {kills} kills")
    finally:
        sweep.kill()
        rooms.down(sandbox.directory)
    return outcome


def _judge(outcome: Outcome, sweep: _Sweep, trials: int, killed: set[int]) -> None:
    counts = collections.Counter(number for number, _ in sweep.begun())
    for number in range(trials):
        outcome.check(counts[number] < 2, f"trial {number} has begun twice")
        outcome.check(counts[number], f"trial {number} has never begun")
    outcome.check(not (sweep.place / "clashes").exists(), "two trials had one GPU at a time")
    shown = sweep.shown()
    found = {each["number"]: each for each in shown["trials"]}  # type: ignore[attr-defined]
    outcome.check(sorted(found) == list(range(trials)), f"the sweep has trials {sorted(found)}")
    for number, each in found.items():
        state, value = each["state"], each["value"]
        if number not in killed:
            fine = state == "completed" and value == each["parameters"]["lr"]
            outcome.check(fine, f"trial {number} is {state} with {value}: {each['reason']}")
        outcome.check(state in ("completed", "failed"), f"trial {number} is {state}")


def _cut(server: int) -> None:
    """Kill the sessions of an sshd, which goes on."""
    found = subprocess.run(
        ["pgrep", "-P", str(server)], capture_output=True, text=True, check=False
    )
    for pid in map(int, found.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_trial(pid: int, number: int) -> bool:
    """Whether a process is the command of a trial."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"GENVX_TRIAL={number}".encode() in variables
