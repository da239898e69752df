"""S1, S2, S6: code and files on their way to a host and back, beside rsync, scp and Guild AI.

What genvx does to send the code of a run is measured alone, in a process of its own: rsync and scp
start no run.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.delay import far
from benchmarks.form import sized, smallest
from benchmarks.guild import Guild
from benchmarks.measure import Sample, Series, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.runs import HOST, Genvx
from benchmarks.world import World, world

_DIRECTORIES, _FILES, _BYTES = sized((100, 100, 20_000), (80, 8, 100))
_LIMITS = {"first": 1.2, "unchanged": 1.0, "one file changed": 1.0}
_LARGE = sized(2 << 30, 20 << 20)
# With one round everything is a tenth as large: that form shows that it works. A file of 2 GiB
# is for the form that takes its time.
_ENOUGH_ROUNDS, _MANY_ROUNDS = 2, 5
_AWAY_MS = 20
# Digests of files that were just changed are not kept; nobody sends a project in that moment.
_SETTLED = sized(3.1, 0.0)

# What `run --project` does before it asks for the run.
_SEND = """
import os, sys
from genvx.local.trees.project import Gathered
project = Gathered(sys.argv[1]).read(os.environ)
from genvx.fleet.connect import connect
with connect(sys.argv[2], environ=os.environ) as fleet:
    fleet.hosts[0].send_tree(project)
"""


def _plant(root: Path, directories: int = _DIRECTORIES) -> None:
    """Make files, of which every other one cannot be packed: 10,000 of 200 MB."""
    chance = random.Random(1)
    for number in range(directories):
        directory = root / f"d{number}"
        directory.mkdir(parents=True)
        for each in range(_FILES):
            text = b"epoch %d step %d loss 0.%d\n" % (number, each, each)
            content = chance.randbytes(_BYTES) if each % 2 else text * (_BYTES // len(text))
            (directory / f"f{each}").write_bytes(content)


def run(rounds: int) -> Table:
    """Medians of the wall time of each way."""
    small = rounds < _ENOUGH_ROUNDS
    rows: list[list[str]] = []
    verdicts: list[str] = []
    with world() as place:
        code = place.directory / "code"
        _plant(code, _DIRECTORIES // 10 if small else _DIRECTORIES)
        _projects(place, code, HOST, "loopback", rounds, rows, verdicts)
        with far(place, HOST, _AWAY_MS) as host:
            if not smallest():  # the same once more
                _projects(place, code, host, f"{_AWAY_MS} ms", rounds, rows, verdicts)
            size = _large(place, rounds)
            _files(place, host, size, f"{_AWAY_MS} ms", rounds, rows, verdicts)
        _files(place, HOST, size, "loopback", rounds, rows, verdicts)
        _hello(place, rounds, rows, verdicts)
    return Table(("what", "way", "command", "wall, s", "over"), rows, verdicts)


def _sending(place: World, directory: Path, host: str) -> list[str]:
    return [place.peer_python, "-c", _SEND, str(directory), host]


def _projects(
    place: World,
    code: Path,
    host: str,
    way: str,
    rounds: int,
    rows: list[list[str]],
    verdicts: list[str],
) -> None:
    """S1: a project that is new, unchanged, and changed in one file."""
    there = place.directory / "there"
    ways = {
        "genvx": _sending(place, code, host),
        "rsync -az": ["rsync", "-az", f"{code}/", f"{host}:{there}/rsync/"],
        # Its old protocol: the server here has no sftp.
        "scp -r": ["scp", "-Oqr", str(code), f"{host}:{there}/scp"],
    }

    def emptied(words: list[str]) -> Sample:
        for each in (there, place.directory / "runs"):
            shutil.rmtree(each, ignore_errors=True)
        (there / "rsync").mkdir(parents=True)
        return measured(words, env=place.environ)

    def unchanged(words: list[str]) -> Sample:
        return measured(words, env=place.environ)

    def changed(words: list[str]) -> Sample:
        with open(code / "d7" / "f7", "ab") as file:
            file.write(os.urandom(10))
        return measured(words, env=place.environ)

    tries: dict[str, Callable[[list[str]], Sample]] = {
        "first": emptied,
        "unchanged": unchanged,
        "one file changed": changed,
    }
    time.sleep(_SETTLED)
    files = sum(1 for _ in code.glob("*/*"))
    for what, act in tries.items():
        # From far away, scp -r waits twice for an answer for each file.
        names = ways if what == "first" and host == HOST else list(ways)[:2]
        contenders = {name: partial(act, ways[name]) for name in names}
        if what == "unchanged":
            for each in contenders.values():
                each()
            time.sleep(_SETTLED)
        contenders["ssh HOST true"] = partial(measured, ["ssh", host, "true"], env=place.environ)
        series = side_by_side(contenders, rounds)
        theirs = series["rsync -az"].wall
        for name, found in series.items():
            shown = f"{files:,} files, {what}"
            rows.append([shown, way, name, f"{found.wall:.2f}", f"{found.wall / theirs:.2f} rsync"])
        ratio = series["genvx"].wall / theirs
        said = f"{files:,} files, {way}, {what}: wall over rsync's"
        verdicts.append(verdict("S1", said, ratio, _LIMITS[what]))


def _large(place: World, rounds: int) -> int:
    """Make a file that cannot be packed; return its bytes."""
    room = shutil.disk_usage(place.directory).free // 8
    part = 20 if rounds < _ENOUGH_ROUNDS else 4 if rounds < _MANY_ROUNDS else 1
    size = min(_LARGE // part, room)
    (place.directory / "large").mkdir()
    with open(place.directory / "large" / "file", "wb") as file:
        chance = random.Random(2)
        for _ in range(size >> 20):
            file.write(chance.randbytes(1 << 20))
    return size


def _files(
    place: World,
    host: str,
    size: int,
    way: str,
    rounds: int,
    rows: list[list[str]],
    verdicts: list[str],
) -> None:
    """S2: one large file."""
    directory, there = place.directory / "large", place.directory / "there"

    def emptied(words: list[str]) -> Sample:
        for each in (there, place.directory / "runs"):
            shutil.rmtree(each, ignore_errors=True)
        there.mkdir()
        return measured(words, env=place.environ)

    contenders = {
        "genvx": partial(emptied, _sending(place, directory, host)),
        "scp": partial(emptied, ["scp", "-Oq", str(directory / "file"), f"{host}:{there}/file"]),
    }
    series = side_by_side(contenders, max(1, rounds // 2))
    theirs = series["scp"].wall
    for name, found in series.items():
        shown = f"one file, {size / 2**30:.2g} GiB"
        rows.append([shown, way, name, f"{found.wall:.2f}", f"{found.wall / theirs:.2f} scp"])
    ratio = series["genvx"].wall / theirs
    verdicts.append(verdict("S2", f"one file, {way}: wall over scp's", ratio, 1 / 0.6))


def _hello(place: World, rounds: int, rows: list[list[str]], verdicts: list[str]) -> None:
    """S6: a run of a project that prints a line, and copying such runs here, three of them."""
    ours, guild = Genvx(place), Guild(place, HOST)
    target = place.directory / "pulled"
    shutil.rmtree(place.directory / "runs", ignore_errors=True)
    say = ours.command("run", "-d", "-w", "--project", str(guild.project))
    runs = 1 if rounds < _ENOUGH_ROUNDS else 3
    found = {"genvx": Series(), "guild": Series()}
    # Guild takes ten seconds or more for each; so few of them are enough, and all are pulled.
    for _ in range(runs):
        for name, words, environ in (
            ("genvx", [*say, "--", "python3", "nothing.py"], ours.environ),
            ("guild", guild.command("run", "-y", "nothing"), guild.environ),
        ):
            sample = measured(words, env=environ)
            if sample.code or b"done" not in sample.output:
                raise SystemExit(f"{name} says no hello: {sample.output[-600:]!r}")
            found[name].samples.append(sample)
    _over_guild(f"hello world, {runs} of each", found, rows, verdicts)
    numbers = [str(each + 1) for each in range(runs)]
    pulls = " && ".join(
        " ".join(ours.command("pull", each, "-o", f"{target}/{each}")) for each in numbers
    )
    contenders = {
        "genvx": partial(measured, ["sh", "-c", pulls], env=ours.environ),
        "guild": partial(
            measured, ["guild", "pull", "-y", guild.remote, f":{runs}"], env=guild.environ
        ),
    }
    series = side_by_side(contenders, rounds)
    _over_guild(f"pull of {runs} run{'s' if runs > 1 else ''}", series, rows, verdicts)


def _over_guild(
    what: str, series: dict[str, Series], rows: list[list[str]], verdicts: list[str]
) -> None:
    theirs = series["guild"].wall
    for name, found in series.items():
        over = f"{found.wall / theirs:.2f} guild"
        rows.append([what, "loopback", name, f"{found.wall:.2f}", over])
    ratio = series["genvx"].wall / theirs
    verdicts.append(verdict("S6", f"{what}: wall over Guild's", ratio, 0.15))
