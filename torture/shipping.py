"""S4: projects whose journey is disturbed: cuts, full disks, files that change, several clients at
once. Nothing wrong arrives, and what was cut goes on.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from genvx.core.projects.manifest import Body
from genvx.errors import GenvxError, ProjectChanged
from genvx.local.trees.landing import Landing
from genvx.local.trees.project import Gathered, LocalProject
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore
from torture import ground, walker
from torture.journeys import Cutter, Journeys, refusal
from torture.trial import Outcome, Trial

_PARTIAL = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{8}")
_CLIENTS = 4
_VALUES = 252


def shipping(trial: Trial) -> Outcome:
    outcome = Outcome()
    journeys = Journeys(trial.place / "there")
    try:
        _cuts(outcome, trial, journeys)
        _at_once(outcome, trial, journeys)
    finally:
        journeys.end()
    _changed(outcome, trial)
    if ground.inside():
        _disks(outcome, trial)
    return outcome


def _many(root: Path, chance: random.Random, files: int, size: int) -> int:
    """Make files that cannot be packed; return their bytes."""
    root.mkdir(parents=True)
    for number in range(files):
        (root / f"f{number}").write_bytes(chance.randbytes(size))
    return files * size


def _same(outcome: Outcome, wanted: Path, got: Path, where: str) -> None:
    for line in walker.differences(wanted, got)[:3]:
        outcome.violated(f"{where}: wrong contents: {line}")


def _rest(store: TreeStore) -> list[str]:
    """The rest of transfers that is in a store."""
    return [name for name in os.listdir(store.root) if _PARTIAL.fullmatch(name)]


# Cuts


def _cuts(outcome: Outcome, trial: Trial, journeys: Journeys) -> None:
    """Connections that are cut at any byte, of pushes and of pulls, until all is there."""
    cuts = resumed = 0
    number = 0
    while cuts < trial.size(6, 100) and not outcome.enough:
        place = trial.place / f"cut{number}"
        chance = trial.chance("cuts", number)
        total = _many(place / "made", chance, 40, 100_000)
        project = journeys.gathered(place / "made")

        def push(port: int, got: Callable[[int, int], None], of: LocalProject = project) -> None:
            with journeys.host(port) as host:
                host.send_tree(of, got)

        before = cuts
        found = _until_there(outcome, journeys, total, chance, push)
        cuts, resumed = cuts + found[0], resumed + found[1]
        there = journeys.copied(project.recorded.tree, place / "there")
        _same(outcome, place / "made", there, f"pushed with {cuts - before} cuts")
        outcome.check(not _rest(journeys.store), "the rest of a transfer is left")
        run = journeys.started(project)

        def pull(
            port: int, got: Callable[[int, int], None], of: str = run, to: Path = place / "back"
        ) -> None:
            with journeys.host(port) as host:
                journeys.pulled(host, of, to, got)

        before = cuts
        found = _until_there(outcome, journeys, total, chance, pull)
        cuts, resumed = cuts + found[0], resumed + found[1]
        _same(outcome, place / "made", place / "back", f"pulled with {cuts - before} cuts")
        shutil.rmtree(journeys.home.runs / run)
        shutil.rmtree(place)
        number += 1
    outcome.check(resumed, f"no journey went on where it was, after {cuts} cuts")
    outcome.seen.append(f"{cuts} cuts, {resumed} of {2 * number} journeys went on where they were")


def _until_there(
    outcome: Outcome,
    journeys: Journeys,
    total: int,
    chance: random.Random,
    go: Callable[[int, Callable[[int, int], None]], None],
) -> tuple[int, int]:
    """Go until nothing is cut any more; return how often that was, and whether it ever went on."""
    cutter = Cutter(journeys.port, total, chance)
    asked: list[int] = []
    cuts = 0

    def got(done: int, of: int) -> None:
        if not done or not asked or asked[-1] != of:
            asked.append(of)

    try:
        for tries in range(60):
            # Some of them are cut while they say hello; the last is left alone.
            port = cutter.port if tries < 3 else journeys.port
            try:
                go(port, got)
                break
            except GenvxError:
                cuts += 1
        else:
            outcome.violated("60 tries, and it is not there")
    finally:
        cutter.close()
    outcome.check(
        all(later <= earlier for earlier, later in itertools.pairwise(asked)),
        f"more is to be sent after a cut than before: {asked}",
    )
    return cuts, int(bool(asked) and asked[-1] < total)


# Several clients


def _at_once(outcome: Outcome, trial: Trial, journeys: Journeys) -> None:
    """Clients that push the same files at the same moment, and one of them a few others."""
    for number in range(trial.size(1, 20)):
        place = trial.place / f"once{number}"
        _many(place / "same", trial.chance("once", number), 60, 50_000)
        shutil.copytree(place / "same", place / "other")
        (place / "other" / "f1").write_bytes(b"other")
        projects = [journeys.gathered(place / name) for name in ("same", "other")]

        with journeys.host() as host:
            clients = [
                ground.fork(lambda h=host, p=projects[n % 2]: h.send_tree(p))
                for n in range(_CLIENTS)
            ]
            codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in clients]
        outcome.check(codes == [0] * _CLIENTS, f"clients at once: exit codes {codes}")
        for name, project in zip(("same", "other"), projects, strict=True):
            if not journeys.store.has(project.recorded.tree):
                outcome.violated("clients at once: a tree is not there")
                continue
            there = journeys.copied(project.recorded.tree, place / f"{name}-there")
            _same(outcome, place / name, there, "clients at once")
        outcome.check(not _rest(journeys.store), "clients at once: the rest of a transfer is left")
        shutil.rmtree(place)


# Without a host


def _put(project: LocalProject, store: TreeStore) -> None:
    def contents(lacking: list[int], bodies: list[Body]) -> Iterator[bytes]:
        for content, _ in project.contents(lacking):
            yield content

    receive(store, project.recorded.tree, project.manifest.to_bytes(), contents)


def _land(project: LocalProject, target: Path, environ: dict[str, str]) -> None:
    with Landing(str(target), environ) as landing:
        wanted = landing.lacking(project.manifest)
        for index, (content, _) in zip(wanted, project.contents(wanted), strict=True):
            landing.put(index, content)
        landing.finish()


def _length(value: int) -> int:
    return 50_000 + value % 7 * 100


@contextmanager
def _changing(root: Path) -> Iterator[None]:
    """Files that are replaced, and one that grows, all the time. Each replaced one is of one byte
    value, which says how long it is; what has grown can be told from its beginning.
    """
    over = threading.Event()

    def change() -> None:
        number = 0
        while not over.is_set():
            number += 1
            new = root.with_name("new")
            new.write_bytes(bytes([number % _VALUES]) * _length(number % _VALUES))
            os.rename(new, root / f"replaced{number % 3}")
            with open(root / "grown", "ab") as file:
                file.write(b"%08d" % (file.tell() // 8))
            over.wait(0.002 * 2 ** (number % 7))

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _changed(outcome: Outcome, trial: Trial) -> None:
    """A project of which files change while it is read and sent."""
    place = trial.place / "changed"
    _many(place / "made", trial.chance("changed"), 3, 50_000)
    environ = {"HOME": str(place / "home")}
    went = 0
    with _changing(place / "made"):
        for number in range(trial.size(20, 300)):
            target = place / str(number)
            try:
                project = Gathered(str(place / "made")).read(environ)
                _land(project, target, environ)
            except ProjectChanged:
                continue
            except GenvxError as error:
                outcome.violated(f"a change that was not noticed: {error}")
                break
            went += 1
            for path in target.glob("replaced*"):
                content = path.read_bytes()
                pure = len(set(content)) == 1 and len(content) == _length(content[0])
                outcome.check(pure, f"{path.name} is of two versions")
            grown = (target / "grown").read_bytes() if (target / "grown").exists() else b""
            wanted = b"".join(b"%08d" % each for each in range(len(grown) // 8))
            outcome.check(grown == wanted, "what has grown is not what it ever was")
            shutil.rmtree(target)
    outcome.seen.append(
        f"{went} of {trial.size(20, 300)} trees that change all the time came, and are right"
    )


def _disks(outcome: Outcome, trial: Trial) -> None:
    """No room, or no inodes, where a tree is stored and where it is pulled to."""
    made = trial.place / "disk"
    _many(made, trial.chance("disk"), 120, 50_000)
    (made / "pieces").write_bytes(trial.chance("pieces").randbytes(9 << 20))
    client = {"HOME": str(trial.place / "client")}
    project = Gathered(str(made)).read(client)
    for word, options, more in (
        ("full", "", "size=64m"),
        ("", "nr_inodes=60", "nr_inodes=2000"),
    ):
        name = word or "inodes"
        with ground.mounted("tmpfs", trial.place / name, 8 if word else 64, options) as disk:
            store, target = TreeStore(str(disk / "trees")), disk / "target"
            ways: tuple[Callable[[], None], ...] = (
                lambda store=store: _put(project, store),
                lambda target=target: _land(project, target, client),
            )
            for number, way in enumerate(ways):
                error = refusal(way)
                outcome.check(
                    error and type(error).__name__ == "StateError" and str(error).isprintable(),
                    f"{name}: not refused in a line: {error!r}",
                )
                if not number:
                    outcome.check(not _rest(store), f"{name}: the rest of a tree takes the room")
            subprocess.run(["mount", "-o", f"remount,{more}", disk], check=True)
            for way in ways:
                error = refusal(way)
                outcome.check(error is None, f"{name}: there is room now, but {error}")
            _same(outcome, made, target, f"{name}: pulled")
            stored = disk / "trees" / project.recorded.tree / "files"
            for path in made.iterdir():
                right = (stored / path.name).read_bytes() == path.read_bytes()
                outcome.check(right, f"{name}: wrong contents of {path.name}")
    outcome.seen.append("a full disk and one without inodes: refused, and then all is there")
