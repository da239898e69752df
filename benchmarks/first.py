"""First contact: `genvx remote devices` on hosts that have never been asked, and again."""

from __future__ import annotations

import shutil
from functools import partial

from benchmarks.form import sized
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import world

SIZES = sized((1, 8, 64), (2,))


def run(rounds: int) -> Table:
    """Medians for each size."""
    rows, verdicts = [], []
    with world() as place:
        for size in SIZES:
            words = ["genvx", "remote", "--hostfile", place.hostfile_apart(size), "-t", "60"]
            ask = partial(measured, [*words, "devices"], env=place.environ)

            def new(ask: partial[Sample] = ask) -> Sample:
                shutil.rmtree(place.caches, ignore_errors=True)
                return ask()

            def again(ask: partial[Sample] = ask, size: int = size) -> Sample:
                if len(list(place.caches.glob("*/genvx/agent-*"))) < size:
                    ask()
                return ask()

            def right(name: str, sample: Sample, size: int = size) -> bool:
                stored = len(list(place.caches.glob("*/genvx/agent-*")))
                shown = f"on {size} hosts" if size > 1 else "devices"
                return sample.code == 0 and stored == size and shown.encode() in sample.output

            series = side_by_side({"never asked": new, "asked before": again}, rounds, right)
            second = series["asked before"]
            for name, found in series.items():
                rows.append(
                    [
                        str(size),
                        name,
                        f"{found.wall:.2f}",
                        f"{found.wall / second.wall:.2f}",
                        f"{found.cpu * 1000 / size:.1f}",
                    ]
                )
            shutil.rmtree(place.caches, ignore_errors=True)
            first = series["never asked"]
            ratio = first.wall / second.wall
            verdicts.append(verdict("First contact", f"{size} hosts: wall over later", ratio, 2))
    verdicts.append(
        verdict("First contact", "client CPU a host", first.cpu * 1000 / size, 15, " ms")
    )
    columns = ("hosts", "they were", "wall, s", "wall / later", "client CPU, ms a host")
    return Table(columns, rows, verdicts)
