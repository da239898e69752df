"""C1: runs on a shelf in a bucket, beside Guild AI, which has the AWS CLI do it: push five, list a
hundred, pull three. Both ask the same server on loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.form import sized, smallest
from benchmarks.guild import Guild
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.runs import HOST
from benchmarks.world import World, world
from torture.pretendcloud import served

_FEW, _MANY, _SOME = sized(5, 1), sized(100, 2), sized(3, 1)
_LIMIT = 0.1
_REGION = "us-east-2"
_KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}


class Bucket:
    """A bucket that both have as a shelf, each below a root of its own: ROOTfew or ROOTmany."""

    def __init__(self, url: str) -> None:
        import boto3

        self.url = url
        self._s3: Any = boto3.client(
            "s3",
            region_name=_REGION,
            endpoint_url=url,
            aws_access_key_id="bench",
            aws_secret_access_key="bench",
        )
        self._s3.create_bucket(
            Bucket="bench", CreateBucketConfiguration={"LocationConstraint": _REGION}
        )

    def empty(self, root: str) -> None:
        """Delete all below a root."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(
            Bucket="bench", Prefix=f"{root}/"
        ):
            found = [{"Key": each["Key"]} for each in page.get("Contents", ())]
            if found:
                self._s3.delete_objects(Bucket="bench", Delete={"Objects": found})


def _done(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Do what has to be there before something is measured."""
    done = subprocess.run(words, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stdout}{done.stderr}")


class Contender:
    """How one of the two does the three things. root: the prefix of its roots in the bucket."""

    root: str
    environ: dict[str, str]
    pulled: Path

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def push(self, shelf: str) -> list[str]:
        raise NotImplementedError

    def listing(self) -> list[str]:
        raise NotImplementedError

    def pull(self) -> list[str]:
        raise NotImplementedError

    def fill(self) -> None:
        """Have the runs on the larger shelf."""
        _done(self.push("many"), self.environ)

    def pushed(self) -> Sample:
        """Push the few runs to an empty shelf."""
        self._bucket.empty(f"{self.root}few")
        return measured(self.push("few"), env=self.environ)

    def fetched(self) -> Sample:
        """Pull some runs to where none of them is."""
        shutil.rmtree(self.pulled, ignore_errors=True)
        return measured(self.pull(), env=self.environ)


class Genvx(Contender):
    root = "genvx-"

    def __init__(self, place: World, bucket: Bucket, project: Path) -> None:
        super().__init__(bucket)
        self.environ = {**place.environ, **_KEYS, "GENVX_RUNS_DIR": f"{place.directory}/shelved"}
        self.pulled = place.directory / "shelf-pulled"
        self._elsewhere = f"GENVX_RUNS_DIR={self.pulled}"
        settings = Path(place.environ["HOME"]) / ".config" / "genvx"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "remotes.yml").write_text("remotes:\n" + self._remote("few"))
        with open(settings / "remotes.yml", "a", encoding="ascii") as file:
            file.write(self._remote("many"))
        (settings / "remotes.yml").chmod(0o600)
        command = ["genvx", "run", "-d", "-w", "--project", str(project)]
        for _ in range(_MANY):
            _done([*command, "--", "python3", "nothing.py"], self.environ)

    def _remote(self, shelf: str) -> str:
        return (
            f"  {shelf}:\n    type: s3\n    bucket: bench\n    root: {self.root}{shelf}\n"
            f"    region: {_REGION}\n    endpoint-url: {self._bucket.url}\n"
        )

    def push(self, shelf: str) -> list[str]:
        numbers = map(str, range(1, (_FEW if shelf == "few" else _MANY) + 1))
        return ["genvx", "--remote", shelf, "push", *numbers]

    def listing(self) -> list[str]:
        return ["genvx", "--remote", "many", "runs", "--all"]

    def pull(self) -> list[str]:
        numbers = map(str, range(1, _SOME + 1))
        return ["env", self._elsewhere, "genvx", "--remote", "many", "pull", *numbers]


class Theirs(Contender):
    root = "guild-"

    def __init__(self, place: World, bucket: Bucket, guild: Guild) -> None:
        super().__init__(bucket)
        self._project = str(guild.project)
        home, elsewhere = place.directory / "guild-here", place.directory / "guild-elsewhere"
        for each in (home, elsewhere):
            each.mkdir()
        self.environ = {**guild.environ, **_KEYS, "AWS_ENDPOINT_URL": bucket.url}
        self._here, self._elsewhere = f"GUILD_HOME={home}", f"GUILD_HOME={elsewhere}"
        self.pulled = elsewhere / "runs"
        settings = Path(place.environ["HOME"]) / ".guild" / "config.yml"
        with open(settings, "a", encoding="ascii") as file:
            for shelf in ("few", "many"):
                file.write(
                    f"  {shelf}:\n    type: s3\n    bucket: bench\n    root: /{self.root}{shelf}\n"
                    f"    region: {_REGION}\n"
                )
        _done(self._guild("run", "-y", "nothing"), self.environ)
        self._multiply(home / "runs")

    def _guild(self, *words: str, elsewhere: bool = False) -> list[str]:
        home = self._elsewhere if elsewhere else self._here
        return ["env", home, "guild", "-C", self._project, *words]

    def _multiply(self, runs: Path) -> None:
        """Make many of one run: Guild takes seconds for each."""
        if smallest():
            return
        (first,) = runs.iterdir()
        for _ in range(_MANY - 1):
            identifier = uuid.uuid4().hex
            copy = runs / identifier
            shutil.copytree(first, copy, symlinks=True)
            (copy / ".guild" / "attrs" / "id").write_text(f"{identifier}\n")

    def push(self, shelf: str) -> list[str]:
        chosen = [f":{_FEW}"] if shelf == "few" else []
        return self._guild("push", "-y", shelf, *chosen)

    def listing(self) -> list[str]:
        return self._guild("runs", "list", "-r", "many", "--all", elsewhere=True)

    def pull(self) -> list[str]:
        return self._guild("pull", "-y", "many", f":{_SOME}", elsewhere=True)


def run(rounds: int) -> Table:
    """Medians of the wall time of each way."""
    rows: list[list[str]] = []
    verdicts: list[str] = []
    with world() as place:
        cloud = place.directory / "cloud"
        cloud.mkdir()
        with served(cloud) as url:
            bucket = Bucket(url)
            guild = Guild(place, HOST)
            contenders: dict[str, Contender] = {
                "genvx": Genvx(place, bucket, guild.project),
                "guild": Theirs(place, bucket, guild),
            }
            for each in contenders.values():
                each.fill()
            things: dict[str, Callable[[Contender], Sample]] = {
                f"push of {_FEW} runs": lambda each: each.pushed(),
                f"list of {_MANY}": lambda each: measured(each.listing(), env=each.environ),
                f"pull of {_SOME}": lambda each: each.fetched(),
            }
            for what, act in things.items():
                ways = {name: partial(act, each) for name, each in contenders.items()}
                series = side_by_side(ways, rounds, partial(_right, what))
                theirs = series["guild"].wall
                for name, found in series.items():
                    over = f"{found.wall / theirs:.3f}"
                    rows.append([what, name, f"{found.wall:.2f}", over, f"{found.cpu:.2f}"])
                ratio = series["genvx"].wall / theirs
                verdicts.append(verdict("C1", f"{what}: wall over Guild's", ratio, _LIMIT))
    return Table(("what", "command", "wall, s", "wall / guild", "CPU, s"), rows, verdicts)


def _right(what: str, name: str, sample: Sample) -> bool:
    if smallest() and name == "guild":
        return True
    if what.startswith("list"):
        return sample.code == 0 and sample.output.count(b"completed") == _MANY
    return sample.code == 0 and os.fsencode("rror") not in sample.output
