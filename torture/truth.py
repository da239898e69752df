"""Runs, and the truth about them: from the kernel's locks and from what the commands themselves
wrote, by nothing of genvx. Beside it what genvx says of the same runs, now and later.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import os
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.runs.runselect import Filter
from genvx.core.runs.runstate import end_of, name_of
from genvx.core.wire.runoperations import ListRuns
from genvx.errors import GenvxError
from genvx.local import processes
from genvx.local.host import LocalHost
from torture import ground, oracle
from torture.trial import Outcome, until

_PYTHON = (sys.executable, "-I", "-S", oracle.__file__)
# A run without a state is not shown at first: it may be beginning. Later it must be.
_LATER_NS = 100 * 10**9
_ANOTHER_BOOT = "0b00715e-0000-4000-8000-000000000000"
# What a record says while nothing of its run has begun, or nobody knows more.
_NOT_STARTED = ("", "lost", "stopped", "failed")


@dataclass(frozen=True)
class Shown:
    """What genvx says of a run: "" as its state if it does not know it."""

    state: str = ""
    code: int | None = None
    note: str = ""

    def __str__(self) -> str:
        code = "" if self.code is None else f" with {self.code}"
        return f"shown as {self.state or 'nothing'}{code} {self.note}".rstrip()


@dataclass(frozen=True)
class Job:
    """A command that says itself that it starts, uses its devices, and ends.

    told: the file into which it says that. go: the file for which it waits.
    """

    run: str
    told: Path
    go: Path

    def lines(self) -> list[str]:
        return self.told.read_text().splitlines() if self.told.exists() else []

    @property
    def starts(self) -> int:
        return sum(line == "used" or line.startswith("double") for line in self.lines())

    @property
    def ended(self) -> bool:
        return "ended" in self.lines()

    def end(self) -> None:
        self.go.touch()

    def pid(self) -> int | None:
        """The process of the command, if it lives."""
        told = str(self.told).encode()
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                    if words[1:3] == [b"-I", b"-S"] and told in words:
                        return int(name)
        return None


class Home:
    """A host with runs: its state directory, the directory of its runs, and the oracle's claims."""

    def __init__(self, root: Path, variables: Mapping[str, str], runs: Path) -> None:
        self.root = root
        self.runs = runs
        kept = {name: text for name, text in os.environ.items() if name != "XDG_DATA_HOME"}
        self.variables = {**kept, **variables}
        self.state = Path(variables["GENVX_STATE_DIR"])
        self.claims = ground.open_to_all(root / "claims")
        with self.host() as host:
            self.devices = [device.uuid for device in host.snapshot().devices]
        oracle.prepare(str(self.claims), self.devices)

    @classmethod
    def made(cls, root: Path, runs: Path | None = None) -> Home:
        """One without SSH, in an empty directory."""
        runs = runs or root / "runs"
        variables = ground.provisioned(root / "state") | {
            "GENVX_SIMULATE": "2xA100-80GB",
            "GENVX_RUNS_DIR": str(runs),
            "HOME": str(root),
        }
        return cls(root, variables, runs)

    def host(self) -> contextlib.closing[LocalHost]:
        return contextlib.closing(LocalHost(environ=self.variables))

    def elsewhere(self, state: Path) -> Home:
        """The same runs with another state directory."""
        other = copy.copy(self)
        other.state = state
        other.variables = {**self.variables, "GENVX_STATE_DIR": str(state)}
        return other

    def job(self, *, gpus: int = 1, **more: Any) -> tuple[RunSpec, Job]:
        """A run that is not submitted yet, and its command."""
        run = os.urandom(4).hex()
        job = Job(run, self.root / f"told-{run}", self.root / f"go-{run}")
        argv = (*_PYTHON, str(self.claims), str(job.go), str(job.told))
        return RunSpec(run, argv, Requirements(gpus), "", "", Moment(0, 0), **more), job

    # The truth

    def supervised(self, run: str) -> bool:
        return any(_locked(path) for path in self.state.rglob(f"{run}.run"))

    def held(self, run: str) -> bool:
        """Whether a process holds a lease of the run's."""
        for path in self.state.rglob("*.lease"):
            with contextlib.suppress(OSError, ValueError):
                if json.loads(path.read_bytes())["env"] == run and _locked(path):
                    return True
        return False

    def lives(self, run: str) -> bool:
        return self.supervised(run) or self.held(run)

    def written(self, run: str) -> str:
        """The word of the state that is on the disk; empty if there is none."""
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((self.runs / run / "state.json").read_bytes())
            return str(record["is"])
        return ""

    # What genvx says

    def shown(self, *, later: bool = False, boot: bool = False) -> dict[str, Shown]:
        """What is listed now; by its clock much later; after another boot."""
        if not later and not boot:
            return self._listed()
        reads, writes = os.pipe()

        def look() -> None:
            if boot:
                processes.boot_id = lambda: _ANOTHER_BOOT
            else:
                real = processes.boottime_ns
                processes.boottime_ns = lambda: real() + _LATER_NS
            found = {run: vars(shown) for run, shown in self._listed().items()}
            os.write(writes, json.dumps(found).encode())

        pid = ground.fork(look)
        os.close(writes)
        with open(reads, "rb") as file:
            said = file.read()
        os.waitpid(pid, 0)
        return {run: Shown(**each) for run, each in json.loads(said).items()}

    def _listed(self) -> dict[str, Shown]:
        with self.host() as host:
            found = host.answer(ListRuns(Filter(), 1000))
        ends = {run.id: end_of(run.state) for run in found}
        codes = {run: None if end is None else end.exit_code for run, end in ends.items()}
        return {run.id: Shown(name_of(run.state), codes[run.id], run.note) for run in found}

    # Judging

    def settle(self, outcome: Outcome, job: Job, where: str, *, killed: bool = False) -> None:
        """Wait until nothing of a run lives, and compare what is shown with what was.

        killed: whether its supervisor was, so that nobody may know how it ended.
        """
        over = until(lambda: not self.lives(job.run), 20)
        outcome.check(over, f"{where}: a lease leaked, or a supervisor never ends")
        for later in (False, True):
            shown = self.shown(later=later).get(job.run, Shown())
            when = f"{where}{', much later' if later else ''}"
            self.judge_end(outcome, job, shown, when, killed=killed)

    def judge_end(
        self, outcome: Outcome, job: Job, shown: Shown, where: str, *, killed: bool = False
    ) -> None:
        """What may be shown of a run of which nothing lives. killed: see `settle`."""
        outcome.check(job.starts <= 1, f"{where}: started {job.starts} times")
        double = [line for line in job.lines() if line.startswith("double")]
        outcome.check(not double, f"{where}: a GPU was given twice: {double}")
        if not job.starts:
            fine = shown.state in _NOT_STARTED and shown.code is None
            outcome.check(fine, f"{where}: it never started, and is {shown}")
        elif not job.ended:
            # Somebody has killed it: nobody knows more, or the signal is known.
            fine = shown.state in ("lost", "stopped") or (
                shown.state == "failed" and (shown.code or 0) > 128
            )
            outcome.check(fine, f"{where}: it had no end, and is {shown}")
        else:
            lost = killed and shown.state == "lost"
            fine = lost or (shown.state, shown.code) == ("failed", oracle.CODE)
            outcome.check(fine, f"{where}: it ended with {oracle.CODE}, and is {shown}")

    def judge_orphan(self, outcome: Outcome, job: Job, where: str) -> None:
        """A run lives, and its supervisor does not: it is shown, and its GPU is nobody else's."""
        with self.host() as host:
            left = len(host.snapshot().available)
        self._take(outcome, left, where)
        shown = self.shown().get(job.run, Shown())
        alive = shown.state in ("preparing", "running") and shown.note
        outcome.check(alive, f"{where}: it lives unsupervised, and is {shown}")

    def judge_rest(self, outcome: Outcome, where: str) -> None:
        """Nothing lives here: everything can be had, and nothing is left of the dead."""
        self._take(outcome, len(self.devices), where)
        self._listed()  # sweeps up what the dead left
        ends = (".lease", ".ticket", ".tmp", ".run")
        left = [path.name for path in self.state.rglob("*") if path.name.endswith(ends)]
        outcome.check(not left, f"{where}: left {left}")

    def _take(self, outcome: Outcome, gpus: int, where: str) -> None:
        try:
            with self.host() as host, host.acquire(Ask(Requirements(gpus))) as hold:
                claims = oracle.Oracle(str(self.claims))
                double = [d.uuid for d in hold.devices if not claims.claim(d.uuid)]
                outcome.check(not double, f"{where}: GPUs given twice: {double}")
                claims.give_back()
        except GenvxError as error:
            outcome.violated(f"{where}: {gpus} GPUs cannot be had, a lease leaked: {error}")

    def supervisors(self) -> Iterator[tuple[str, int]]:
        """The runs whose supervisors live, and the pids of these."""
        for path in self.state.rglob("*.run"):
            with contextlib.suppress(OSError, ValueError):
                if _locked(path):
                    yield path.stem, int(json.loads(path.read_bytes())["pid"])

    def end_all(self) -> None:
        """End what a violation may have left, so that it disturbs nobody."""
        for _, pid in self.supervisors():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _locked(path: Path) -> bool:
    """Whether some process has a write lock on a file, as the kernel says."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked)
    finally:
        os.close(descriptor)
    return bool(struct.unpack("hhqqi4x", answer)[0] == fcntl.F_WRLCK)
