"""Replays a workload under genvx's rules, plain first fit and backfill, and prints a table.

Without --workload the jobs are made up: their sizes and durations are those of a research
cluster, more or less, and their number is such that the devices are busy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

from benchmarks import report
from simulation import workload
from simulation.schedulers import ALL
from simulation.world import Result, World, replay

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "sharing-fairly.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--workload", type=Path, help="a CSV file: arrival, gpus, duration, user")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--devices", type=int, default=8, help="of each host")
    parser.add_argument(
        "--load", type=float, default=0.9, help="of all devices, on average, if none waited"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="also put the table into the docs")
    options = parser.parse_args()
    if options.workload is None:
        total = options.hosts * options.devices
        jobs = workload.made_up(options.jobs, total, options.load, options.seed)
    else:
        jobs = workload.from_file(options.workload)
    if not jobs:
        parser.error("no jobs")
    if workload.biggest(jobs) > options.devices:
        parser.error(f"a job wants more than the {options.devices} devices of a host")
    rows = []
    for kind in ALL:
        print(f"{kind.name} ...", file=sys.stderr, flush=True)
        world = World(options.hosts, options.devices)
        rows += _rows(kind.name, replay(jobs, world, kind(world)))
    table = report.Table(COLUMNS, rows)
    print(f"\n{len(jobs):,} jobs on {options.hosts:,} hosts of {options.devices} devices\n")
    print(table.text())
    if options.write:
        given = [word for word in sys.argv[1:] if word != "--write"]
        command = " ".join(["scripts/simulate", *given])
        report.write(PAGE, "simulation", command, table)
    return 0


COLUMNS = ("", "GPUs", "jobs", "waited", "median", "p95", "longest", "utilization")


def _rows(name: str, result: Result) -> list[list[str]]:
    every = [wait for waits in result.waits.values() for wait in waits]
    rows = [[name, "all", *_waits(every), f"{result.utilization:.1%}"]]
    rows += [["", str(gpus), *_waits(result.waits[gpus]), ""] for gpus in sorted(result.waits)]
    return rows


def _waits(waits: list[float]) -> list[str]:
    waits = sorted(waits)
    late = waits[min(len(waits) - 1, int(len(waits) * 0.95))]
    waited = sum(wait > 0 for wait in waits) / len(waits)
    times = [_time(value) for value in (statistics.median(waits), late, waits[-1])]
    return [f"{len(waits):,}", f"{waited:.1%}", *times]


def _time(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


if __name__ == "__main__":
    sys.exit(main())
