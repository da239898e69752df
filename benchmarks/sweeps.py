"""W1 and W2: how long a sweep takes, and how long a GPU is idle between two of its trials."""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.world import loopback_up
from genvx.sandbox import sandbox as rooms

_TRIALS, _SECONDS, _GPUS = sized((20, 1.0, 4), (6, 0.1, 4))
# What runs the sweep may add to what its trials take.
_FACTOR = 1.3
_IDLE = 0.3


def run(rounds: int) -> Table:
    """Twenty trials of a second on two hosts with two GPUs each."""
    loopback_up()
    rows, walls, gaps = [], [], []
    with tempfile.TemporaryDirectory(prefix="genvx-bench-", dir="/var/tmp") as directory:
        sandbox = rooms.up(f"{directory}/sandbox", ["2", "2"])
        try:
            environ = {
                **os.environ,
                "GENVX_HOSTFILE": sandbox.hostfile,
                "GENVX_SSH_CONFIG": sandbox.ssh_config,
                "XDG_DATA_HOME": f"{directory}/data",
            }
            for number in range(rounds):
                most = ["--concurrency", str(_GPUS)] if number % 2 else []
                begin = time.monotonic()
                shown = _sweep(environ, *most)
                walls.append(time.monotonic() - begin)
                found = _gaps(directory, {each["run"] for each in shown["trials"]})
                gaps += found
                rows.append(
                    [
                        "--concurrency 4" if most else "as many as fit",
                        f"{walls[-1]:.2f}",
                        f"{statistics.median(found):.2f}",
                        f"{max(found):.2f}",
                    ]
                )
        finally:
            rooms.down(sandbox.directory)
    ideal = _TRIALS * _SECONDS / _GPUS
    return Table(
        ("trials out", "wall, s", "GPU idle between two, median, s", "longest, s"),
        rows,
        [
            verdict("W1", "wall over ideal", statistics.median(walls) / ideal, _FACTOR),
            verdict("W2", "GPU idle between two trials, median", statistics.median(gaps), _IDLE),
        ],
    )


def _sweep(environ: dict[str, str], *more: str) -> dict[str, Any]:
    words = ["remote", "sweep", "--tuner", "random", "-P", "lr=0..1", "--trials", str(_TRIALS)]
    words += ["-g", "1", "--json", *more, "--", "sleep", f"{_SECONDS:g}"]
    argv = [sys.executable, "-m", "genvx", *words]
    done = subprocess.run(argv, env=environ, check=True, capture_output=True)
    shown: dict[str, Any] = json.loads(done.stdout)
    assert shown["sweep"]["counts"] == {"completed": _TRIALS}
    return shown


def _gaps(directory: str, runs: set[str]) -> list[float]:
    """The seconds from the end of a command on a GPU to the start of the next one there."""
    used: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for path in Path(directory).glob("sandbox/*/home/.local/share/genvx/runs/*"):
        if path.name not in runs:
            continue
        events = [json.loads(line) for line in (path / "events").read_text().splitlines()]
        running = next(each for each in events if each["event"] == "running")
        end = events[-1]["end"]
        key = (str(path.parent), running["devices"][0])
        times = (end["started"]["boottime_ns"], end["ended"]["boottime_ns"])
        used.setdefault(key, []).append(times)
    found = []
    for each_used in used.values():
        pairs = itertools.pairwise(sorted(each_used))
        found += [(later[0] - before[1]) / 1e9 for before, later in pairs]
    return found
