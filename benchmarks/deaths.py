"""F8: how long a lease outlives a client that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable

from benchmarks.report import Table, verdict
from benchmarks.terminals import Terminal
from benchmarks.world import World, world
from genvx.local.host import LocalHost

_VERB = ["genvx", "remote", "-H", "127.1.0.1"]


def _without_terminal(place: World) -> tuple[int, Callable[[], object]]:
    process = subprocess.Popen(
        [*_VERB, "run", "-g", "1", "--", "sleep", "600"],
        env=place.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return process.pid, process.wait


def _with_terminal(how: str) -> Callable[[World], tuple[int, Callable[[], object]]]:
    def start(place: World) -> tuple[int, Callable[[], object]]:
        terminal = Terminal(
            [*_VERB, "activate", "-g", "1", "--", "sleep", "600"],
            {**place.environ, "GENVX_TERMINAL": how},
        )
        return terminal.pid, terminal.close

    return start


def run(rounds: int) -> Table:
    """Times from SIGKILL of the client to the moment in which the lease counts no more."""
    rows, worst = [], 0.0
    with world() as place:
        host = LocalHost("here", environ={**os.environ, **place.environ})

        def held(wanted: bool) -> float:
            end = time.monotonic() + 60
            while bool(host.snapshot().environments) is not wanted:
                if time.monotonic() > end:
                    raise SystemExit("the lease is there for ever, or never")
            return time.perf_counter()

        for name, start in (
            ("run, without terminal", _without_terminal),
            ("activate, OpenSSH's client", _with_terminal("")),
            ("activate, built-in terminal", _with_terminal("builtin")),
        ):
            took = []
            for _ in range(rounds):
                pid, end = start(place)
                held(True)
                begin = time.perf_counter()
                os.kill(pid, signal.SIGKILL)
                took.append((held(False) - begin) * 1000)
                end()
            took.sort()
            worst = max(worst, took[-1])
            rows.append([name, str(rounds), f"{took[len(took) // 2]:.0f}", f"{took[-1]:.0f}"])
    return Table(
        ("client that is killed", "times", "median, ms", "longest, ms"),
        rows,
        [verdict("F8", "the longest of all (wanted of 99 %)", worst, 250, " ms")],
    )
