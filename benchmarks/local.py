"""P2: `genvx devices` beside `genv devices`, on this machine, in new processes."""

from __future__ import annotations

from functools import partial

from benchmarks.measure import measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import world


def run(rounds: int) -> Table:
    """Medians."""
    with world() as place:
        series = side_by_side(
            {
                "genvx devices": partial(measured, ["genvx", "devices"], env=place.environ),
                "genv devices": partial(measured, ["genv", "devices"], env=place.environ),
                "python3 -c pass": partial(
                    measured, [place.peer_python, "-c", "pass"], env=place.environ
                ),
            },
            rounds,
        )
    theirs = series["genv devices"]
    rows = [
        [
            name,
            f"{found.wall * 1000:.0f}",
            f"{found.wall / theirs.wall:.2f}",
            f"{found.cpu * 1000:.0f}",
            f"{found.peak / 1024:.0f}",
        ]
        for name, found in series.items()
    ]
    ours = series["genvx devices"]
    return Table(
        ("command", "wall, ms", "wall / genv", "CPU, ms", "peak, MiB"),
        rows,
        [
            verdict("P2", "`genvx devices`", ours.wall * 1000, 150, " ms"),
            verdict("P2", "over `genv devices`", ours.wall / theirs.wall, 0.5),
        ],
    )
