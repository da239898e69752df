"""R6: what the supervisor of a run costs while nothing happens."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.runs import Genvx
from benchmarks.world import world

_SECONDS = sized(60.0, 0.5)
# What waits looks more often at first.
_SETTLING = sized(60.0, 0.0)


def _pid(run: str) -> int:
    """The process that calls itself by the run."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text() == f"genvx-{run}\n":
                return int(comm.parent.name)
        except OSError:
            continue
    raise SystemExit(f"run {run} has no supervisor")


def _cpu_seconds(pid: int) -> float:
    # Not the times in /proc/PID/stat: many kernels count ticks, and a timer wakes us at one.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _mebibytes(pid: int) -> float:
    found = re.search(r"^Rss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found is not None
    return int(found[1]) / 1024


def run(rounds: int) -> Table:
    """CPU over a minute, after the first one; resident memory at its end."""
    with world() as place:
        ours = Genvx(place)
        quiet = ours.start("sleep", "600")
        holds = ours.start("sleep", "600", options=("--gpus", "2"))
        waits = ours.start("true", options=("--gpus", "1", "--wait"))
        pids = {"watches a quiet command": _pid(quiet), "waits in line": _pid(waits)}
        time.sleep(_SETTLING)
        before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(_SECONDS * rounds)
        shares = {
            name: (_cpu_seconds(pid) - before[name]) / _SECONDS / rounds * 100
            for name, pid in pids.items()
        }
        sizes = {name: _mebibytes(pid) for name, pid in pids.items()}
        for pid in (*pids.values(), _pid(holds)):
            os.kill(pid, signal.SIGTERM)  # others need the GPUs
    return Table(
        ("a supervisor that", "CPU, % of a core", "resident, MiB"),
        [[name, f"{shares[name]:.2f}", f"{sizes[name]:.1f}"] for name in pids],
        [
            verdict("R6", "CPU, % of a core", max(shares.values()), 0.3, " %"),
            verdict("R6", "resident memory", max(sizes.values()), 25, " MiB"),
        ],
    )
