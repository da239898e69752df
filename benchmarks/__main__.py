"""Measures, prints tables, and with --write puts them into docs/performance.md."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import time
from pathlib import Path

from benchmarks import form, guild, report, world

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"

# part: rounds by default
PARTS = {
    "packing": 21,
    "question": 41,
    "fan": 5,
    "remote": 5,
    "first": 5,
    "warm": 5,
    "local": 21,
    "start": 11,
    "echo": 300,
    "deaths": 100,
    "interrupt": 20,
    "scale": 1,
    "placement": 15,
    "waiting": 3,
    "runs": 5,
    "runlogs": 5,
    "tunnel": 5,
    "supervisors": 1,
    "manyruns": 11,
    "sweeps": 4,
    "manytrials": 10,
    "projects": 5,
    "environments": 5,
    "shelf": 5,
    "executor": 5,
    "monitor": 200,
    "page": 20,
}


def show_that_it_works(part: str) -> None:
    """Run a part in its smallest form, and make its table."""
    begin, used = time.monotonic(), sum(os.times()[:4])
    # With two, there is a quantile.
    table = importlib.import_module(f"benchmarks.{part}").run(2 if part == "echo" else 1)
    if not table.rows or "nan" in table.text():
        raise SystemExit(f"{part} has no numbers: {table.text()}")
    report.block(PAGE, part)
    took, cpu = time.monotonic() - begin, sum(os.times()[:4]) - used
    print(f"{part}: works; {took:.1f} s, CPU {cpu:.1f} s", flush=True)


def heed_signals() -> None:
    """Have all that is measured heed signals as at a terminal.

    A shell that starts us in the background, or nohup, has us ignore them; what we start inherits
    that, and would outlive its client.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)


def main() -> None:
    heed_signals()
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument("--write", action="store_true", help="also put the tables into docs")
    parser.add_argument(
        "--smallest",
        action="store_true",
        help="only show that the parts work: few hosts, one round, nothing in place of the peers",
    )
    options = parser.parse_args()
    unknown = set(options.part) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.smallest:
        if options.rounds or options.write:
            parser.error("--smallest measures nothing")
        form.choose_smallest()
    if not world.inside():
        if not options.smallest:
            world.install_peers()
            guild.install()
        world.enter()
    if options.smallest:
        with world.shared():
            for part in options.part or PARTS:
                show_that_it_works(part)
        return
    for part in options.part or PARTS:
        module = importlib.import_module(f"benchmarks.{part}")
        rounds = options.rounds or PARTS[part]
        table = module.run(rounds)
        print(f"{part}, {report.machine()}\n\n{table.text()}\n", flush=True)
        if options.write:
            report.write(PAGE, part, f"scripts/bench {part}", table)


if __name__ == "__main__":
    main()
