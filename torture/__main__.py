"""Tries genvx's reliability on this machine, and prints a table: figure, wanted, got, seed.

Without options a short form of about a minute; --full is the one that counts. Exit code 1 if a
figure is not met.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.world import loopback_up
from torture import ground, mutants
from torture.figures import FIGURES, Figure
from torture.trial import Enough, Outcome, Trial

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
_MEGABYTES = 512


@dataclass(frozen=True)
class Row:
    """One figure on one file system, tried. missing: what it needs and this machine lacks."""

    figure: Figure
    kind: str
    outcome: Outcome
    missing: tuple[str, ...] = ()

    def cells(self, seed: int) -> list[str]:
        verdict = "met" if self.outcome.met else "**violated**"
        if self.outcome.misses and not self.outcome.violations:
            verdict = "**missed**"
        got = "; ".join([*self.outcome.seen, *self.outcome.misses])
        if self.missing:
            verdict, got = "not tried", f"needs {', '.join(self.missing)}"
        figure = self.figure
        return [figure.name, figure.what, self.kind, figure.wanted, got, str(seed), verdict]


COLUMNS = ("", "what", "on", "wanted", "got", "seed", "")


def main() -> int:
    # A process that keeps connections would answer for the hosts that are tried.
    os.environ["GENVX_KEEP"] = "0"
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    names = list(dict.fromkeys(figure.name for figure in FIGURES))
    homes = [figure.home for figure in FIGURES]
    parser.add_argument("figure", nargs="*", help=f"{', '.join(names)}, or a part: {homes[1]}")
    parser.add_argument("--full", action="store_true", help="as long as it takes: an hour, about")
    parser.add_argument("--seed", type=int, help="of the random choices")
    parser.add_argument("--first", action="store_true", help="end a figure at its first violation")
    parser.add_argument("--bite", action="store_true", help="take protections away, and look")
    parser.add_argument("--write", action="store_true", help="also put the table into the docs")
    options = parser.parse_args()
    unknown = set(options.figure) - {*names, *homes}
    if unknown:
        parser.error(f"no figure {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    if options.first:
        Outcome.most = 1
    if options.bite:
        return _bite(options.figure, write=options.write)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Started by nohup: what we start would be deaf to hang-ups, which F8 rests on.
        signal.signal(signal.SIGHUP, lambda number, frame: None)
    ground.enter()
    if ground.inside():
        loopback_up()
    chosen = [f for f in FIGURES if not options.figure or {f.name, f.home} & {*options.figure}]
    seed = int.from_bytes(os.urandom(3)) if options.seed is None else options.seed
    with _directory() as directory:
        rows = [
            row for figure in chosen for row in _try(figure, seed, directory, full=options.full)
        ]
    table = report.Table(COLUMNS, [row.cells(seed) for row in rows])
    print(f"\n{report.machine()}\n\n{table.text()}")
    for row in rows:
        for violation in row.outcome.violations:
            print(f"\n{row.figure.name} on {row.kind}: violated: {violation}")
    if options.write:
        command = " ".join(["scripts/torture", *options.figure, *(["--full"] * options.full)])
        report.write(PAGE, "torture", command, table)
    sys.stdout.flush()
    return 0 if all(row.outcome.met for row in rows) else 1


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A place that every user can reach, on a local disk."""
    directory = Path(tempfile.mkdtemp(prefix="genvx-torture-", dir="/var/tmp"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _try(figure: Figure, seed: int, directory: Path, *, full: bool) -> list[Row]:
    rows = []
    for kind in figure.places if full and ground.inside() else ("here",):
        shown = _kind_of(directory) if kind == "here" else kind
        missing = figure.missing()
        if missing:
            rows.append(Row(figure, shown, Outcome(), tuple(missing)))
            continue
        print(f"{figure.name} {figure.what}, on {shown} ...", file=sys.stderr, flush=True)
        begin = time.monotonic()
        with ground.mounted(kind, directory / "place", _MEGABYTES) as mounted:
            place = mounted / figure.home.partition(":")[2]
            place.mkdir(mode=0o755)
            try:
                outcome = figure.run(Trial(seed, full, place))
            except Enough as end:
                outcome = end.outcome
            shutil.rmtree(place, ignore_errors=True)
        word = "met" if outcome.met else "NOT MET"
        took = time.monotonic() - begin
        print(f"    {word}: {'; '.join(outcome.seen)} ({took:.0f} s)", file=sys.stderr, flush=True)
        rows.append(Row(figure, shown, outcome))
    return rows


def _kind_of(directory: Path) -> str:
    device = os.stat(directory).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
        words = line.split()
        if words[2] == wanted and "-" in words:
            return words[words.index("-") + 1]
    return "a local disk"


def _bite(names: list[str], *, write: bool) -> int:
    """Take each protection away in a copy, and see that its figure is violated there."""
    rows = []
    for mutant in mutants.MUTANTS:
        if names and mutant.figure not in names:
            continue
        print(f"{mutant.figure} without {mutant.protection} ...", file=sys.stderr, flush=True)
        with _directory() as directory:
            bitten = mutants.bite(mutant, directory)
        seen = bitten.violation.replace("|", "/")[:120] if bitten.caught else "**nothing**"
        rows.append([mutant.figure, mutant.protection, seen])
    table = report.Table(("figure", "protection taken away", "what the figure saw"), rows)
    print(f"\n{report.machine()}\n\n{table.text()}")
    if write:
        report.write(PAGE, "bite", "scripts/torture --bite", table)
    sys.stdout.flush()
    return 0 if all(row[2] != "**nothing**" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
