"""S1: the code of a run on its way to a host, beside rsync and scp, which start no run."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.runs import HOST, Genvx
from benchmarks.world import world

_DIRECTORIES, _FILES, _BYTES = 100, 100, 20_000
_LIMITS = {"first": 1.2, "unchanged": 1.0, "one file changed": 1.0}


def _plant(root: Path) -> None:
    """Make 10,000 files of 200 MB, of which every other one cannot be packed."""
    chance = random.Random(1)
    for number in range(_DIRECTORIES):
        directory = root / f"d{number}"
        directory.mkdir(parents=True)
        for each in range(_FILES):
            text = b"epoch %d step %d loss 0.%d\n" % (number, each, each)
            content = chance.randbytes(_BYTES) if each % 2 else text * (_BYTES // len(text))
            (directory / f"f{each}").write_bytes(content)


def run(rounds: int) -> Table:
    """Medians of the wall time of each way, for a new project, an unchanged one, a changed one."""
    rows, verdicts = [], []
    with world() as place:
        ours, code = Genvx(place), place.directory / "code"
        there = place.directory / "there"
        _plant(code)
        start = ours.command("run", "-q", "-d", "--project", str(code), "--", "true")
        ways = {
            "genvx remote run -d --project": start,
            "rsync -az": ["rsync", "-az", f"{code}/", f"{HOST}:{there}/rsync/"],
            # Its old protocol: the server here has no sftp.
            "scp -r": ["scp", "-Oqr", str(code), f"{HOST}:{there}/scp"],
        }

        def emptied(name: str, words: list[str]) -> Sample:
            shutil.rmtree(there, ignore_errors=True)
            (there / "rsync").mkdir(parents=True)
            shutil.rmtree(place.directory / "runs", ignore_errors=True)
            return measured(words, env=place.environ)

        def unchanged(name: str, words: list[str]) -> Sample:
            return measured(words, env=place.environ)

        def changed(name: str, words: list[str]) -> Sample:
            with open(code / "d7" / "f7", "ab") as file:
                file.write(os.urandom(10))
            return measured(words, env=place.environ)

        tries: dict[str, Callable[[str, list[str]], Sample]] = {
            "first": emptied,
            "unchanged": unchanged,
            "one file changed": changed,
        }
        for what, way in tries.items():
            names = ways if what == "first" else list(ways)[:2]
            contenders = {name: partial(way, name, ways[name]) for name in names}
            if what == "unchanged":
                for each in contenders.values():
                    each()
            if what == "first":
                contenders["genvx remote run -d"] = partial(
                    unchanged, "", ours.command("run", "-q", "-d", "--", "true")
                )
            series = side_by_side(contenders, rounds)
            theirs = series["rsync -az"].wall
            for name, found in series.items():
                rows.append([what, name, f"{found.wall:.2f}", f"{found.wall / theirs:.2f}"])
            got = series["genvx remote run -d --project"].wall / theirs
            verdicts.append(verdict("S1", f"{what}: wall over rsync's", got, _LIMITS[what]))
    files = _DIRECTORIES * _FILES
    head = f"{files} files, {files * _BYTES // 10**6} MB"
    return Table((head, "command", "wall, s", "wall / rsync"), rows, verdicts)
