"""Measures, prints tables, and with --write puts them into docs/performance.md."""

from __future__ import annotations

import argparse
import importlib

from benchmarks import report

# part: rounds by default
PARTS = {"packing": 21}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], default=[], metavar="PART")
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument(
        "--write", action="store_true", help="put the tables into docs/performance.md"
    )
    options = parser.parse_args()
    for part in options.part or PARTS:
        module = importlib.import_module(f"benchmarks.{part}")
        rounds = options.rounds or PARTS[part]
        table = module.run(rounds)
        print(f"{part}, {report.machine()}\n\n{table.text()}\n", flush=True)
        if options.write:
            report.write(part, f"scripts/bench {part}", table)


if __name__ == "__main__":
    main()
