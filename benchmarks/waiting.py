"""P10: what somebody costs who waits, here and in the line of another host."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from pathlib import Path

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.world import world

_SECONDS = sized(20.0, 0.5)
_TICKS = os.sysconf("SC_CLK_TCK")


def run(rounds: int) -> Table:
    """Medians of the share of one core, over 20 s in the line."""
    with world() as place:
        environ = place.environ
        subprocess.run(["genvx", "devices"], env=environ, check=True, capture_output=True)
        holder = subprocess.Popen(
            ["genvx", "run", "-g", "1", "--", "sleep", "3600"],
            env=environ,
            start_new_session=True,
        )
        try:
            time.sleep(2)
            shares = [_share(environ) for _ in range(rounds)]
        finally:
            os.killpg(holder.pid, signal.SIGTERM)
            holder.wait()
    middle = statistics.median(shares) * 100
    return Table(
        ("", "% of a core"),
        [["`genvx run --wait`", f"{middle:.2f}"]],
        [verdict("P10", "a waiter", middle, 1, " % of a core")],
    )


def _share(environ: dict[str, str]) -> float:
    waiter = subprocess.Popen(
        ["genvx", "run", "-g", "64", "--wait", "--", "true"],
        env={**environ, "GENVX_SIMULATE": "64xA100-80GB"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert waiter.stderr is not None
        if "waiting" not in (said := waiter.stderr.readline()):
            raise SystemExit(f"it does not wait: {said}")
        before = _used(waiter.pid)
        time.sleep(_SECONDS)
        return (_used(waiter.pid) - before) / _SECONDS
    finally:
        waiter.kill()
        waiter.communicate()


def _used(pid: int) -> float:
    """Seconds of CPU, children that have ended included."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) / _TICKS
