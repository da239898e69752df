"""W5: empty calls on eight workers over SSH, beside processes here and `ssh HOST python`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.world import ROOT, World, world

_CALLS, _WORKERS, _HOSTS, _MEGABYTES = sized((1000, 8, 2, 100), (40, 2, 2, 1))

_TOGETHER = sized(0.5, 0.05)

# What every executor is asked, in a process of its own: imports count for its first result. The
# workers share GPUs, because the hosts are one machine with two.
_ASKED = f"""
import json, os, sys, time
begin = time.perf_counter()
def measure(pool):
    found = {{}}
    pool.submit(abs, -1).result()
    found["first"] = time.perf_counter() - begin
    # All workers are there before the calls are counted.
    list(pool.map(time.sleep, [{_TOGETHER}] * {4 * _WORKERS}))
    for name, size in (("calls", 1), ("chunks", 50)):
        start = time.perf_counter()
        assert sum(pool.map(abs, range({_CALLS}), chunksize=size)) == sum(range({_CALLS}))
        found[name] = {_CALLS} / (time.perf_counter() - start)
    data = os.urandom({_MEGABYTES}000000)
    start = time.perf_counter()
    assert pool.submit(len, data).result() == len(data)
    found["there"] = time.perf_counter() - start
    start = time.perf_counter()
    assert len(pool.submit(bytes, len(data)).result()) == len(data)
    found["back"] = time.perf_counter() - start
    return found
"""
_OURS = f"""{_ASKED}
import genvx
with genvx.Fleet.from_hostfile(sys.argv[1]) as fleet:
    with fleet.executor(gpus=1, memory=9 << 30, workers={_WORKERS}) as pool:
        print(json.dumps(measure(pool)))
"""
_PROCESSES = f"""{_ASKED}
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor({_WORKERS}) as pool:
        print(json.dumps(measure(pool)))
"""


def _asked(place: World, program: str, *words: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**place.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _over_ssh(place: World) -> dict[str, float]:
    """A connection and a Python for each call, eight at a time."""

    def call(number: int) -> None:
        host = place.hosts(_HOSTS)[number % _HOSTS]
        subprocess.run(
            ["ssh", host, "python3", "-c", "'print(abs(-1))'"],
            env=place.environ,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    begin = time.perf_counter()
    call(0)
    first = time.perf_counter() - begin
    calls = _CALLS // 20
    with ThreadPoolExecutor(_WORKERS) as pool:
        begin = time.perf_counter()
        list(pool.map(call, range(calls)))
    return {"first": first, "calls": calls / (time.perf_counter() - begin)}


def run(rounds: int) -> Table:
    """Medians."""
    with world() as place:
        hostfile = place.hostfile(_HOSTS)
        contenders: dict[str, Callable[[], dict[str, float]]] = {
            "genvx, over SSH": lambda: _asked(place, _OURS, hostfile),
            "ProcessPoolExecutor, here": lambda: _asked(place, _PROCESSES),
            "ssh HOST python3": lambda: _over_ssh(place),
        }
        for contender in sized(list(contenders.values()), []):
            contender()  # hosts have the agent, and files are in memory
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, contender in contenders.items():
                found[name].append(contender())
    rows, medians = [], {}
    for name, samples in found.items():
        median = {key: statistics.median(s[key] for s in samples) for key in samples[0]}
        medians[name] = median
        places = {"first": 2, "calls": 0, "chunks": 0, "there": 2, "back": 2}
        shown = {key: f"{median[key]:.{places[key]}f}" for key in places if key in median}
        rows.append([name, *(shown.get(key, "") for key in places)])
    ours = medians["genvx, over SSH"]
    return Table(
        (
            f"{_WORKERS} workers, {_HOSTS} hosts",
            "first result, s",
            "calls/s",
            "calls/s by fifties",
            f"{_MEGABYTES} MB there, s",
            "and back, s",
        ),
        rows,
        [
            verdict("W5", "the first result", ours["first"], 1.5, " s"),
            verdict("W5", f"{_CALLS} empty calls", _CALLS / ours["calls"], _CALLS / 500, " s"),
        ],
    )
