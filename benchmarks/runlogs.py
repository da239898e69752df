"""R4: how soon a line of a run is seen by who watches it, and how fast a large log is read."""

from __future__ import annotations

import statistics
import subprocess
import time
from functools import partial

from benchmarks.form import sized
from benchmarks.measure import measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.runs import HOST, Genvx
from benchmarks.world import world

_LINES = sized(100, 5)
_MEGABYTES = sized(100, 1)
# The command writes the time at uneven intervals, so that no polling interval fits them.
_CLOCK = f"""
import random, time
for n in range({_LINES}):
    time.sleep(random.uniform(0.02, 0.3))
    print(time.time(), flush=True)
"""
# Lines as programs print them: half digits, which deflate to less than a half.
_LARGE = (
    "awk 'BEGIN { srand(1); while (n < 2e6) printf "
    '"epoch %d step %d loss %.6f accuracy %.4f\\n", n / 1e4, n++, rand(), rand() }\' | '
    f"head -c {_MEGABYTES}000000"
)


def run(rounds: int) -> Table:
    """The delay of lines, and the wall time of reading a log beside `ssh HOST cat`."""
    with world() as place:
        ours = Genvx(place)
        delays = []
        watcher = subprocess.Popen(
            ours.command("watch", ours.start("python3", "-c", _CLOCK)),
            env=place.environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert watcher.stdout is not None
        for line in watcher.stdout:
            delays.append(time.time() - float(line))
        if watcher.wait() or len(delays) != _LINES:
            raise SystemExit(f"the watcher saw {len(delays)} lines of {_LINES}")
        # The first lines were written before the watcher had connected.
        delays = delays[_LINES // 5 :]
        large = ours.start("sh", "-c", _LARGE)
        watch = " ".join(ours.command("watch", large))
        log = f"{place.directory}/runs/{large}/log"
        subprocess.run(["sh", "-c", f"{watch} >/dev/null"], env=place.environ, check=True)
        count = f"{_MEGABYTES}000000".encode()
        series = side_by_side(
            {
                "genvx remote watch": partial(
                    measured, ["sh", "-c", f"{watch} | wc -c"], env=place.environ
                ),
                "ssh HOST cat": partial(
                    measured, ["sh", "-c", f"ssh {HOST} cat {log} | wc -c"], env=place.environ
                ),
            },
            rounds,
            lambda name, sample: sample.output.strip() == count,
        )
    theirs = series["ssh HOST cat"].wall
    rows = [
        [name, f"{found.wall:.2f}", f"{_MEGABYTES / found.wall:.0f}", f"{found.wall / theirs:.2f}"]
        for name, found in series.items()
    ]
    median = statistics.median(delays)
    late = statistics.quantiles(delays, n=20)[-1]
    return Table(
        (f"{_MEGABYTES} MB of log", "wall, s", "MB/s", "wall / ssh"),
        rows,
        [
            verdict("R4", "a line's way to the watcher, median", median, 0.2, " s"),
            f"95 % of the lines came within {late:.2f} s.",
            verdict("R4", "wall over ssh's", series["genvx remote watch"].wall / theirs, 2),
        ],
    )
