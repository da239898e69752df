"""S4: a hostile client at a host, and a hostile host at a client that pulls: nothing outside."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from genvx.agent.trees import receive_tree
from genvx.core.wire.treeoperations import Pulling, PullRun, SendTree
from genvx.errors import GenvxError
from genvx.fleet.shipping.fetching import fetch
from genvx.local.trees.landing import Landing
from genvx.local.trees.store import TreeStore, trees_root
from torture import attacks, ground, walker
from torture.attacks import Attack
from torture.trial import Outcome, Trial, while_time

_MOST_SECONDS = 5.0


class _Ground:
    """Where an attack takes place, with a directory beside it in which nothing may happen."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.outside = place / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "kept").write_bytes(b"kept")
        (self.outside / "kept").chmod(0o600)
        os.utime(self.outside / "kept", ns=(1, 1))
        self.target = place / "target"
        self.environ = {"HOME": str(place / "home")}
        self.store = TreeStore(trees_root(self.environ))
        (place / "home").mkdir()
        self._before = walker.picture(self.outside)
        self._beside = {*os.listdir(place), "target"}

    def push(self, attack: Attack) -> None:
        """What the agent does for a client that sends this."""
        said: list[Any] = []
        end: Any = SimpleNamespace(
            host=SimpleNamespace(environ=self.environ),
            reply=lambda asked, value: said.append(value),
        )
        with _as_stdin(attack.list + attack.contents):
            receive_tree(end, SendTree(attack.tree))

    def pull(self, attack: Attack) -> None:
        """What a client does that pulls from a host that sends this."""
        coming = io.BytesIO(attack.list + attack.contents)
        channel = SimpleNamespace(
            settimeout=lambda seconds: None, sendall=lambda data: None, close=lambda: None
        )
        replied = SimpleNamespace(last=Pulling("0" * 8), read=coming.read, channel=channel)
        caller: Any = SimpleNamespace(call=lambda asked, **more: replied)
        with Landing(str(self.target), self.environ) as landing:
            fetch(caller, PullRun("0" * 8), landing)

    def judge(self, outcome: Outcome, where: str) -> None:
        """Nothing outside has changed, and nothing inside leads there."""
        seen = walker.picture(self.outside) == self._before
        outcome.check(seen, f"{where}: outside is {sorted(walker.picture(self.outside))}")
        beside = set(os.listdir(self.place)) - self._beside
        outcome.check(not beside, f"{where}: outside there is {beside}")
        for root in (self.target, Path(self.store.root)):
            if root.exists():
                out = walker.leading_out(root)
                outcome.check(not out, f"{where}: {out} leads outside")

    def clear(self) -> None:
        shutil.rmtree(self.target, ignore_errors=True)
        shutil.rmtree(self.store.root, ignore_errors=True)


@contextlib.contextmanager
def _as_stdin(data: bytes) -> Iterator[None]:
    before = os.dup(0)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        os.dup2(file.fileno(), 0)
        try:
            yield
        finally:
            os.dup2(before, 0)
            os.close(before)


def hostile(trial: Trial) -> Outcome:
    outcome = Outcome()
    place = _Ground(trial.place / "attacks")
    paths = list(attacks.path_attacks(str(place.outside)))
    every = [*paths, *attacks.content_attacks()]
    for attack in every:
        for how, way in (("pushed", place.push), ("pulled", place.pull)):
            if how == "pushed" or not attack.pushed:
                _attacked(outcome, place, f"{how}: {attack.what}", lambda a=attack, w=way: w(a))
                outcome.check(
                    not place.store.has(attack.tree), f"{how}: {attack.what}: it is stored"
                )
                place.clear()
        if outcome.enough:
            break
    outcome.seen.append(f"{len(paths)} paths and {len(every) - len(paths)} contents, both ways")
    _prefixes(outcome, trial, place)
    _obstacles(outcome, place)
    _race(outcome, trial, place)
    return outcome


def _attacked(outcome: Outcome, place: _Ground, where: str, way: Callable[[], None]) -> None:
    begin = time.monotonic()
    try:
        way()
        outcome.violated(f"{where}: accepted")
    except GenvxError as error:
        outcome.check(str(error).isprintable(), f"{where}: says {str(error)!r}")
    except Exception as error:
        outcome.violated(f"{where}: {type(error).__name__}: {error}")
    took = time.monotonic() - begin
    outcome.check(took < _MOST_SECONDS, f"{where}: it took {took:.1f} s")
    place.judge(outcome, where)


def _good() -> tuple[Attack, dict[str, bytes]]:
    """A tree that may be written, and what is in its files."""
    contents = {"d/x": b"in the directory", "long": b"long\n" * 30, "x": b"text"}
    rows = [attacks.directory("d"), *(attacks.file(n, c) for n, c in contents.items())]
    rows.insert(3, attacks.link("to", "d/x"))
    rows.sort()
    ordered = sorted(contents.items())
    frames = b"".join(
        attacks.frame(content, b"RZ"[n % 2 : n % 2 + 1]) for n, (_, content) in enumerate(ordered)
    )
    made = Attack("good", attacks.frame(attacks.plain(rows), b"Z"), frames, attacks.tree_of(rows))
    return made, contents


def _prefixes(outcome: Outcome, trial: Trial, place: _Ground) -> None:
    """Everything that ends early: at any byte."""
    good, contents = _good()
    whole = good.list + good.contents
    step = trial.size(5, 1)
    ends = range(trial.seed % step, len(whole), step)
    for end in ends:
        cut = good._replace(list=whole[:end], contents=b"")
        for how, way in (("pushed", place.push), ("pulled", place.pull)):
            where = f"{how}, {end} of {len(whole)} bytes"
            _attacked(outcome, place, where, lambda c=cut, w=way: w(c))
            outcome.check(not place.store.has(good.tree), f"{where}: it is stored")
            for name, content in contents.items():
                path = place.target / name
                right = not path.exists() or path.read_bytes() == content
                outcome.check(right, f"{where}: wrong contents of {name}")
        if outcome.enough:
            return
    # What has come of all of these is there, and now the rest comes as well. The frames are all of
    # them, so it starts anew.
    place.clear()
    place.push(good)
    place.pull(good)
    for name, content in contents.items():
        stored = Path(place.store.root, good.tree, "files", name)
        for path in (stored, place.target / name):
            outcome.check(path.read_bytes() == content, f"wrong contents of {path}")
    place.clear()
    outcome.seen.append(f"cut at {len(ends)} of {len(whole)} bytes")


def _obstacles(outcome: Outcome, place: _Ground) -> None:
    """Links and the like that are there already where files come to."""
    good, contents = _good()
    staged = [f".genvx-pull/{attacks.digest(content)}" for content in contents.values()]
    names = ["d", "d/x", "long", "to", "x", ".genvx-pull", ".genvx-pull/new", *staged]
    ways: dict[str, Callable[[Path], None]] = {
        "a link to a directory": lambda path: path.symlink_to("../" * 8 + str(place.outside)[1:]),
        "a link to a file": lambda path: path.symlink_to(place.outside / "kept"),
        "a link to nothing": lambda path: path.symlink_to(place.outside / "owned"),
        "a hard link": lambda path: os.link(place.outside / "kept", path),
        "a pipe": os.mkfifo,
    }
    for name in names:
        for what, make in ways.items():
            path = place.target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)
            where = f"{what} at {name[:20]}"
            try:
                place.pull(good)
                for each, content in contents.items():
                    right = (place.target / each).read_bytes() == content
                    outcome.check(right, f"{where}: wrong contents of {each}")
            except GenvxError as error:
                outcome.check(str(error).isprintable(), f"{where}: says {str(error)!r}")
            except Exception as error:
                outcome.violated(f"{where}: {type(error).__name__}: {error}")
            path.unlink(missing_ok=True)
            place.judge(outcome, where)
            place.clear()
    outcome.seen.append(f"{len(names) * len(ways)} obstacles")


def _race(outcome: Outcome, trial: Trial, place: _Ground) -> None:
    """A directory that becomes a link to the outside, and a directory again, all the time."""
    good, _ = _good()
    place.target.mkdir()
    path, aside = place.target / "d", place.target / "aside"

    def swap() -> None:
        while True:
            shutil.rmtree(aside, ignore_errors=True)
            with contextlib.suppress(OSError):
                os.rename(path, aside)
            with contextlib.suppress(OSError):
                path.symlink_to(place.outside)
            with contextlib.suppress(OSError):
                path.unlink()
            with contextlib.suppress(OSError):
                os.rename(aside, path)

    swapping = ground.fork(swap)
    landed = tries = 0
    try:
        for _ in while_time(trial.size(1, 60)):
            tries += 1
            with contextlib.suppress(GenvxError):
                place.pull(good)
                landed += 1
    finally:
        ground.kill(swapping)
    if path.is_symlink():
        path.unlink()
    place.judge(outcome, "a directory that becomes a link")
    outcome.check(set(os.listdir(place.outside)) == {"kept"}, "something came outside by a link")
    outcome.seen.append(f"{landed} of {tries} came through beside a directory that becomes a link")
    place.clear()
