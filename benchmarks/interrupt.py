"""How long Ctrl-C takes while a hundred hosts keep us waiting."""

from __future__ import annotations

import time

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.scale import SILENT, bad_servers
from benchmarks.terminals import Terminal
from benchmarks.world import world

_HEALTHY, _WAITING = sized((8, 100), (1, 2))


def run(rounds: int) -> Table:
    """Times from the key to the end of the command, table and all."""
    took = []
    with world() as place, bad_servers():
        silent = [f"127.8.0.{n + 1}:{SILENT}" for n in range(_WAITING)]
        hosts = ",".join([*place.hosts(_HEALTHY), *silent])
        for _ in range(rounds):
            terminal = Terminal(
                ["genvx", "remote", "-H", hosts, "-t", "60", "devices"], place.environ
            )
            terminal.until(f"{_HEALTHY}/{_HEALTHY + _WAITING} hosts".encode())
            begin = time.perf_counter()
            terminal.type(b"\x03")
            terminal.until(f"interrupted: {_WAITING} of".encode())
            terminal.wait()
            took.append((time.perf_counter() - begin) * 1000)
    took.sort()
    return Table(
        ("times", "median, ms", "longest, ms"),
        [[str(rounds), f"{took[len(took) // 2]:.0f}", f"{took[-1]:.0f}"]],
        [verdict("Ctrl-C", "the longest", took[-1], 200, " ms")],
    )
