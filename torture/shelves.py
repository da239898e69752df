"""C2: a client that is killed at each of its requests to a shelf, and others beside it.

The oracle reads the bucket itself: the manifests as JSON, and by the form of lists of files which
blobs they name. It calls nothing of genvx.
"""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from genvx.clouds.aws.account import Account
from genvx.clouds.s3.bucket import Bucket, How
from genvx.core.projects.manifest import DIRECTORY, FILE, Entry, Manifest, digest_of
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import End, Moment, RunSpec, Usage
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import Completed
from genvx.fleet.shelves.s3store import S3Store
from torture import pretendcloud
from torture.trial import Outcome, Trial

_BUCKET = "torture"
_AT = Moment(1_790_000_000_000_000_000, 5)
_LAST = 60
_ONE, _TWO = "0000aaaa", "0000bbbb"


class _Content:
    """A run with some files; as fleet.shelves.store.Content."""

    left_out: tuple[str, ...] = ()

    def __init__(self, identifier: str, *files: bytes) -> None:
        self.run = RunInfo(
            RunSpec(
                id=identifier,
                argv=("true",),
                requirements=Requirements(),
                machine="m",
                host="h",
                submitted=_AT,
            ),
            Completed(_AT, End(_AT, _AT, 0, None, Usage())),
        )
        self._data = {digest_of(data): data for data in files}
        entries = [Entry(b"work", DIRECTORY, 0o755, 0)]
        for number, data in enumerate(files):
            name = b"work/%d" % number
            entries.append(Entry(name, FILE, 0o644, 0, len(data), (digest_of(data),)))
        self.manifest = Manifest(entries)
        self.made = frozenset(each.name for each in self.manifest.entries)

    def bodies(self, wanted: Sequence[int]) -> Iterable[bytes]:
        return (self._data[self.manifest.bodies()[index].digest] for index in wanted)


class _World:
    """The shelf that is tried."""

    def __init__(self, place: Path, url: str, outcome: Outcome) -> None:
        self.place, self.url, self.outcome = place, url, outcome
        self.killed = 0
        self.eyes: Any = Account("us-east-1", endpoint_url=url).service("s3").client

    def clear(self) -> None:
        pretendcloud.forget(self.url, self.place)
        self.eyes.create_bucket(Bucket=_BUCKET)

    def store(self) -> S3Store:
        bucket = Bucket(Account("us-east-1", endpoint_url=self.url), _BUCKET, "lab", How())
        environ = {"XDG_CACHE_HOME": str(self.place / "cache")}
        return S3Store("shelf", bucket, environ, place=self.url)

    def begin(self, act: Callable[[S3Store], object], at: int = 0, *, before: bool = False) -> int:
        """Act in a process of its own, which is killed at a request."""
        ready, go = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(go)
                os.read(ready, 1)
                act(self.store())
                code = 0
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(ready)
        kill = {"kill": {"pid": pid, "at": at, "before": before}} if at else {}
        pretendcloud.control(self.place, **kill)
        os.close(go)
        return pid

    def wait(self, pid: int) -> bool:
        """Whether a process was killed."""
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            self.outcome.check(os.WEXITSTATUS(status) == 0, "a client that was not killed failed")
        self.killed += os.WIFSIGNALED(status)
        return os.WIFSIGNALED(status)

    def client(
        self, act: Callable[[S3Store], object], at: int = 0, *, before: bool = False
    ) -> bool:
        """Act to the end, or up to a request; whether it was killed."""
        killed = self.wait(self.begin(act, at, before=before))
        pretendcloud.control(self.place)
        return killed

    def check(self, where: str) -> dict[str, bool]:
        """Look at what is there; return the runs, and whether each is in the trash."""
        keys, found = self.keys(), {}
        for key in keys:
            if not key.endswith("/manifest.json"):
                continue
            head = json.loads(self._read(key))
            found[key.split("/")[2]] = head["deleted"]
            lists = self._blob(head, head["files"])
            self.outcome.check(lists in keys, f"{where}: a blob that a manifest names is lost")
            if lists not in keys:
                continue
            for row in json.loads(self._read(lists)):
                digests = row[5] if row[1] == "f" else ""
                for start in range(0, len(digests), 64):
                    digest = digests[start : start + 64]
                    blob = self._blob(head, digest)
                    there = blob in keys and _hash(self._read(blob)) == digest
                    self.outcome.check(there, f"{where}: a blob that a manifest names is lost")
        return found

    def check_clean(self, where: str) -> None:
        """After all is over, nothing is left but what manifests name."""
        left = [key for key in self.keys() if "/blobs/" in key or "/sweeps/" in key]
        self.outcome.check(not left, f"{where}: {len(left)} objects are left after the last purge")

    def keys(self) -> set[str]:
        pages = self.eyes.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
        return {each["Key"] for page in pages for each in page.get("Contents", ())}

    def _read(self, key: str) -> bytes:
        data: bytes = self.eyes.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return data

    def _blob(self, head: dict[str, Any], digest: str) -> str:
        again = head["again"].get(digest)
        return f"lab/blobs/{digest[:2]}/{digest}{f'.{again}' if again else ''}"


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def killed(trial: Trial) -> Outcome:
    """C2, the shelf."""
    outcome = Outcome()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ.setdefault(name, "torture")
    with pretendcloud.served(trial.place) as url:
        world = _World(trial.place, url, outcome)
        for act in (_pushed, _deleted, _purged, _beside):
            moments = [(at, before) for at in range(1, _LAST) for before in (True, False)]
            if not trial.full:
                chance = trial.chance(act.__name__)
                # The last one comes after its end.
                moments = [(chance.randrange(1, 13), chance.random() < 0.5), (_LAST, True)]
            for at, before in moments:
                world.clear()
                if (not act(world, at, before) and trial.full) or outcome.enough:
                    break
    outcome.seen.append(f"{world.killed} clients killed")
    return outcome


def _put(identifier: str, *files: bytes) -> Callable[[S3Store], object]:
    return lambda store: store.put(_Content(identifier, *files))


def _pushed(world: _World, at: int, before: bool) -> bool:
    """A push is killed; another one of the same run comes after it."""
    where = f"push killed at request {at}"
    act = _put(_ONE, b"shared", b"own")
    killed = world.client(act, at, before=before)
    world.check(where)
    world.client(act)
    world.outcome.check(world.check(where) == {_ONE: False}, f"{where}: the next one is not there")
    return killed


def _deleted(world: _World, at: int, before: bool) -> bool:
    """A move into the trash is killed; another one comes after it."""
    where = f"delete killed at request {at}"
    world.client(_put(_ONE, b"shared", b"own"))
    killed = world.client(lambda store: store.delete(_ONE), at, before=before)
    world.outcome.check(set(world.check(where)) == {_ONE}, f"{where}: the run is gone")
    world.client(lambda store: store.delete(_ONE))
    world.outcome.check(world.check(where) == {_ONE: True}, f"{where}: it is not in the trash")
    return killed


def _purged(world: _World, at: int, before: bool) -> bool:
    """A purge is killed beside a run that shares a file; others come after it, and purge all."""
    where = f"purge killed at request {at}"
    world.client(_put(_ONE, b"shared", b"own"))
    world.client(_put(_TWO, b"shared", b"other"))
    world.client(lambda store: store.delete(_ONE))
    killed = world.client(lambda store: store.purge(_ONE), at, before=before)
    world.check(where)
    # What a purge was about to delete is sent again.
    world.client(_put("0000cccc", b"own", b"shared"))
    found = world.check(where)
    world.outcome.check({_TWO, "0000cccc"} <= set(found), f"{where}: another run is gone")
    return killed


def _beside(world: _World, at: int, before: bool) -> bool:
    """A push and a purge of the same files at once, of which the purge is killed."""
    where = f"push beside a purge that is killed at request {at}"
    world.client(_put(_ONE, b"shared", b"own"))
    world.client(lambda store: store.delete(_ONE))
    push = world.begin(_put(_TWO, b"shared", b"own"))
    killed = world.client(lambda store: store.purge(_ONE), at, before=before)
    world.wait(push)
    world.outcome.check(_TWO in world.check(where), f"{where}: what was pushed is not there")
    if not killed:
        world.client(lambda store: store.delete(_TWO))
        world.client(lambda store: store.purge(_TWO))
        world.check(where)
        world.check_clean(where)
    return killed
