"""R7: what `genvx runs` costs where ten thousand runs are over."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.form import sized
from benchmarks.measure import measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import world

_MANY, _FEW = sized(10_000, 60), 50


def _copies(original: Path, shelf: Path, number: int) -> None:
    """Fill a directory with copies of a run that is over, each a second older."""
    spec = json.loads((original / "spec.json").read_text())
    submitted = spec["submitted"]["epoch_ns"]
    shelf.mkdir(mode=0o700)
    for n in range(number):
        one = shelf / f"{n:08x}"
        shutil.copytree(original, one)
        one.chmod(0o700)
        spec["id"] = one.name
        spec["submitted"]["epoch_ns"] = submitted - n * 10**9
        (one / "spec.json").write_text(json.dumps(spec, separators=(",", ":")))


def run(rounds: int) -> Table:
    """Wall time of `genvx runs`, which shows the newest 50."""
    with world() as place:
        first = place.directory / "runs-first"
        environ = {**place.environ, "GENVX_RUNS_DIR": str(first)}
        started = subprocess.run(
            ["genvx", "run", "-d", "--", "true"],
            env=environ, check=True, capture_output=True, text=True,
        )  # fmt: skip
        subprocess.run(["genvx", "watch", started.stdout.strip()], env=environ, check=True)
        contenders = {}
        for number in (_FEW, _MANY):
            shelf = place.directory / f"runs-{number}"
            _copies(first / started.stdout.strip(), shelf, number)
            contenders[f"{number:,}"] = partial(
                measured,
                ["genvx", "runs"],
                env={**place.environ, "GENVX_RUNS_DIR": str(shelf)},
            )
        series = side_by_side(
            contenders, rounds, lambda name, sample: sample.output.count(b"completed") == _FEW
        )
    few, many = (series[f"{number:,}"] for number in (_FEW, _MANY))
    rows = [
        [name, f"{found.wall:.2f}", f"{found.wall / few.wall:.2f}", f"{found.peak / 1024:.0f}"]
        for name, found in series.items()
    ]
    return Table(
        ("runs that are over", "wall, s", "wall / 50 runs", "peak, MiB"),
        rows,
        [verdict("R7", "wall of the newest 50 of 10,000", many.wall, 0.3, " s")],
    )
