"""F8: how long a lease outlives a client that is killed, or all that holds it on the host."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from benchmarks.terminals import Terminal
from benchmarks.world import World, world
from genvx.local.host import LocalHost

_WITHOUT_TERMINAL = "run, without terminal"
# Nobody is left on the host who could give back what was held.
_ON_THE_HOST = "run, whose processes on the host are killed"
# Between two looks for the lease: none, where the time counts.
_PAUSE = sized(0.0, 0.02)
# How the client has its terminal, as $GENVX_TERMINAL says it.
_TERMINALS = {"activate, OpenSSH's client": "", "activate, built-in terminal": "builtin"}


def _is_program(pid: int, name: str) -> bool:
    """Whether the process runs that program by now; False if it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    except OSError:
        return False


def times(
    place: World,
    rounds: int,
    genvx: Sequence[str] = ("genvx",),
    patience: float = 60.0,
    *,
    first: bool = False,
) -> dict[str, list[float]]:
    """Milliseconds from SIGKILL of a client to the moment in which its lease counts no more.

    By the kind of client, shortest first; infinite for a lease that is still there after
    `patience` seconds. genvx: the command. Every second lease has a time. first: leave out what
    comes after the first of these.
    """
    verb = [*genvx, "remote", "-H", "127.1.0.1"]
    host = LocalHost("here", environ={**os.environ, **place.environ})

    def held(wanted: bool) -> float:
        end = time.monotonic() + patience
        while bool(host.snapshot().environments) is not wanted:
            time.sleep(_PAUSE)
            if time.monotonic() > end:
                if wanted:
                    raise SystemExit("no client ever got a lease")
                return float("inf")
        return time.perf_counter()

    def without(*options: str) -> tuple[int, Callable[[], object]]:
        process = subprocess.Popen(
            [*verb, "run", "-g", "1", *options, "--", "sleep", "600"],
            env=place.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def end() -> None:
            process.kill()  # also one whose command lives on against all that is promised
            process.wait()

        return process.pid, end

    def within(how: str, *options: str) -> tuple[int, Callable[[], object]]:
        command = [*verb, "activate", "-g", "1", *options, "--", "sleep", "600"]
        terminal = Terminal(command, {**place.environ, "GENVX_TERMINAL": how})
        return terminal.pid, terminal.close

    def on_the_host() -> list[int]:
        """The processes that hold the lease, once the command is one of them."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            environments = host.snapshot(holders=True).environments
            found = [holder for env in environments for holder in env.holders or ()]
            # Not what a holder says of itself: the far end calls itself by its command.
            if any(_is_program(holder.pid, "sleep") for holder in found):
                return [holder.pid for holder in found]
        raise SystemExit("no command ever held a lease")

    starts: dict[str, Callable[..., tuple[int, Callable[[], object]]]]
    starts = {_WITHOUT_TERMINAL: without}
    starts |= {name: partial(within, how) for name, how in _TERMINALS.items()}
    starts[_ON_THE_HOST] = without
    found = {}
    for name, start in starts.items():
        took = []
        for number in range(rounds):
            pid, end = start(*(("--time", "1h") if number % 2 else ()))
            held(True)
            victims = on_the_host() if name == _ON_THE_HOST else [pid]
            begin = time.perf_counter()
            for each in victims:
                os.kill(each, signal.SIGKILL)
            took.append((held(False) - begin) * 1000)
            end()
            if took[-1] == float("inf"):
                break
        found[name] = sorted(took)
        if first and found[name][-1] == float("inf"):
            break
    return found


def run(rounds: int) -> Table:
    """The times as a table."""
    with world() as place:
        found = times(place, rounds)
    rows = [
        [name, str(len(took)), f"{took[len(took) // 2]:.0f}", f"{took[-1]:.0f}"]
        for name, took in found.items()
    ]
    worst = max(took[-1] for took in found.values())
    return Table(
        ("client that is killed", "times", "median, ms", "longest, ms"),
        rows,
        [verdict("F8", "the longest of all (wanted of 99 %)", worst, 250, " ms")],
    )
