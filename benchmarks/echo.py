"""P3: how long a key takes to come back in an activated shell, beside plain ssh."""

from __future__ import annotations

import random
import statistics
import time

from benchmarks.report import Table, verdict
from benchmarks.terminals import Terminal
from benchmarks.world import world

_PLAIN = "ssh"


def run(rounds: int) -> Table:
    """Medians and 90th percentiles of `rounds` keys in each; keys go to all three in turn."""
    with world() as place:
        activate = ["genvx", "remote", "-H", "127.1.0.1", "activate", "--"]
        shell = ["sh", "-c", "echo rea''dy; cat >/dev/null"]
        commands = {
            _PLAIN: (["ssh", "-tt", "127.1.0.1", "echo rea''dy; cat >/dev/null"], {}),
            "genvx, OpenSSH's client": ([*activate, *shell], {}),
            "genvx, built-in terminal": ([*activate, *shell], {"GENVX_TERMINAL": "builtin"}),
        }
        terminals = {
            name: Terminal(command, {**place.environ, **more})
            for name, (command, more) in commands.items()
        }
        for terminal in terminals.values():
            terminal.until(b"ready\r\n")
        took: dict[str, list[float]] = {name: [] for name in terminals}
        shuffle = random.Random(0).shuffle
        order = list(terminals.items())
        for _ in range(rounds):
            shuffle(order)
            for name, terminal in order:
                begin = time.perf_counter()
                terminal.type(b"x")
                terminal.until(b"x")
                took[name].append(time.perf_counter() - begin)
        for terminal in terminals.values():
            terminal.close()
    plain = statistics.median(took[_PLAIN])
    rows = [
        [
            name,
            f"{statistics.median(times) * 1000:.2f}",
            f"{statistics.quantiles(times, n=10)[-1] * 1000:.2f}",
            f"{statistics.median(times) / plain:.2f}",
        ]
        for name, times in took.items()
    ]
    return Table(
        ("shell", "median, ms", "90 %, ms", "median / ssh"),
        rows,
        [
            verdict("P3", f"{name}, over plain ssh", statistics.median(times) / plain, 1.1)
            for name, times in took.items()
            if name != _PLAIN
        ],
    )
