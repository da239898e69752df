"""P1b: `genvx remote devices` beside `genv remote devices`, on the same hosts, in new processes."""

from __future__ import annotations

from functools import partial

from benchmarks.form import sized
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import world

SIZES = sized((1, 8, 64, 256), (1, 2))


def run(rounds: int) -> Table:
    """Medians for each size; on 256 hosts a single round, for Genv takes minutes."""
    rows, ratios = [], {}
    with world() as place:
        for size in SIZES:
            hostfile = place.hostfile(size)

            def right(name: str, sample: Sample, size: int = size) -> bool:
                return sample.code == 0 and f"on {size} hosts".encode() in sample.output

            series = side_by_side(
                {
                    "genvx remote devices": partial(
                        measured,
                        ["genvx", "remote", "--hostfile", hostfile, "-t", "60", "devices"],
                        env=place.environ,
                    ),
                    "genv remote devices": partial(
                        measured,
                        ["genv", "remote", "--hostfile", hostfile, "-t", "60", "devices"],
                        env=place.environ,
                    ),
                },
                1 if size > 64 else rounds,
                right,
            )
            theirs = series["genv remote devices"].wall
            ratios[size] = series["genvx remote devices"].wall / theirs
            for name, found in series.items():
                rows.append(
                    [
                        str(size),
                        name,
                        f"{found.wall:.2f}",
                        f"{found.wall / theirs:.2f}",
                        f"{found.cpu * 1000 / size:.1f}",
                        f"{found.peak / 1024:.0f}",
                    ]
                )
    columns = ("hosts", "command", "wall, s", "wall / genv", "client CPU, ms a host", "peak, MiB")
    verdicts = [
        verdict("P1b", f"wall over Genv's on {size} hosts", ratios[size], 0.25)
        for size in SIZES[1:]
    ]
    return Table(columns, rows, verdicts)
