"""W3: how many short trials a sweep runs in a second, and what its process grows by."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import Table, verdict
from benchmarks.world import loopback_up
from genvx.sandbox import sandbox as rooms

_HOSTS, _GPUS = 8, 8
# A round is so many trials. Ten rounds are the figure; one is the smallest form.
_ROUND = 100
_SECONDS = 0.1
# What a trial may add to the memory of the process, in KiB: it keeps its parameters and its end.
_KIB = 8


def run(rounds: int) -> Table:
    """Trials of `true` on eight hosts with eight GPUs each."""
    loopback_up()
    trials = rounds * _ROUND
    with tempfile.TemporaryDirectory(prefix="genvx-bench-", dir="/var/tmp") as directory:
        sandbox = rooms.up(f"{directory}/sandbox", [str(_GPUS)] * _HOSTS)
        try:
            environ = {
                **os.environ,
                "GENVX_HOSTFILE": sandbox.hostfile,
                "GENVX_SSH_CONFIG": sandbox.ssh_config,
                "XDG_DATA_HOME": f"{directory}/data",
            }
            # Agents are stored on the hosts, and logins are known.
            subprocess.run(
                [sys.executable, "-m", "genvx", "remote", "devices"],
                env=environ, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            idle, begin = _busy(), time.monotonic()
            cpu, sizes = _sweep(environ, trials)
            wall = time.monotonic() - begin
            all_cpu = _busy() - idle
        finally:
            rooms.down(sandbox.directory)
    # The first tenth loads modules and opens connections.
    early, late = sizes[len(sizes) // 10], sizes[-1]
    grown = (late[1] - early[1]) / max(1, late[0] - early[0])
    return Table(
        ("trials", "wall, s", "a second", "CPU of the sweep, ms", "CPU of all, ms", "memory, MiB"),
        [
            [
                f"{trials:,}",
                f"{wall:.1f}",
                f"{trials / wall:.1f}",
                f"{cpu / trials * 1000:.1f}",
                f"{all_cpu / trials * 1000:.0f}",
                f"{late[1] / 1024:.0f}",
            ]
        ],
        [
            verdict("W3", "wall for each trial", wall / trials, _SECONDS, " s"),
            verdict("W3", "memory for each further trial", grown, _KIB, " KiB"),
        ],
    )


def _sweep(environ: dict[str, str], trials: int) -> tuple[float, list[tuple[int, int]]]:
    """Run it; return its CPU time, and its memory in KiB after so many trials."""
    words = ["remote", "sweep", "--tuner", "random", "-P", "lr=0..1", "--trials", str(trials)]
    argv = [sys.executable, "-m", "genvx", *words, "-g", "1", "--", "true"]
    process = subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    done, sizes = 0, []
    for line in process.stdout:
        if "  completed  " in line:
            done += 1
            sizes.append((done, _resident(process.pid)))
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert done == trials
    return usage.ru_utime + usage.ru_stime, sizes


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def _busy() -> float:
    """The CPU time of the whole machine, in seconds: also of what others do on it."""
    numbers = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(numbers[:3]) + sum(numbers[5:8])) / os.sysconf("SC_CLK_TCK")
