"""Shelves: remotes that keep runs. What is asked of them, put there, and said of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from genvx.core.projects.manifest import Manifest
from genvx.core.runs.runstate import is_over, name_of
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import CloudError, GenvxError, InvalidInput
from genvx.fleet.fleet import Fleet
from genvx.fleet.shelves import kept as keys
from genvx.fleet.shelves.hoststore import OPEN, HostStore, Shelf
from genvx.fleet.shelves.opening import s3_store, shelf_named, split, store_of
from genvx.fleet.shelves.s3store import S3Store
from genvx.fleet.shelves.store import Put
from genvx.local.host import LocalHost
from genvx.local.runs.bringing import Copy
from genvx.shown.console import say, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.remotes.remote import Remote
    from genvx.fleet.shelves.store import Content, Store

# A request to a store has a time of its own, and is tried again.
_PATIENCE = 600.0


def shelf_of(name: str) -> Remote | None:
    """Return the remote with this name if it is a shelf; None if it is none."""
    return shelf_named(name, os.environ)


def runs_fleet(where: Any, *, asked: bool = False) -> Fleet[Any]:
    """Make the fleet of the hosts and shelves of genvx remote; see Where.runs_fleet."""
    others, found = ([], []) if where.named is None else split(where.named, os.environ, tell)
    found += [each for name in where.shelves if (each := shelf_of(name)) is not None]
    if not found:
        hosts: Fleet[Any] = where.asked_fleet() if asked else where.fleet()
        return hosts
    shelves = [_shelf(each, where) for each in found]
    if where.named is not None and not others:
        return Fleet(shelves, fanout=where.fanout, timeout=max(_PATIENCE, where.timeout))
    if where.specs == ():
        return Fleet(shelves, fanout=where.fanout, timeout=max(_PATIENCE, where.timeout))
    named = ",".join(others) if others else None
    hosts = replace(where, named=named, shelves=()).fleet()
    together: Fleet[Any] = hosts.beside(shelves)
    return together


def _shelf(remote: Remote, where: Any) -> Any:
    """A shelf as a host; what it cannot do is said when it is asked, as for a host that is down."""
    if where.shelves:
        try:
            return Shelf(store_of(remote, os.environ, tell))
        except GenvxError as error:
            return _Broken(remote.name, error)
    return Shelf(store_of(remote, os.environ, tell))


class _Broken:
    def __init__(self, name: str, error: GenvxError) -> None:
        self.name = name
        self.connections = OPEN
        self._error = error

    def answer(self, asked: object) -> Any:
        raise self._error

    def close(self) -> None:
        pass


# Runs of this machine


class Here:
    """A run of this machine, or a copy, and its files; as fleet.shelves.store.Content.

    Raises:
        InvalidInput: it is not over, or not all of it is here.
    """

    def __init__(self, host: LocalHost, run: RunInfo) -> None:
        from genvx.local.runs.made import made

        if not is_over(run.state):
            raise InvalidInput(
                f"run {run.label_or_id} is {name_of(run.state)}; it can be pushed when it is over"
            )
        if run.pulled is not None and not run.pulled.whole:
            raise InvalidInput(
                f"not all of run {run.label_or_id} is here; pull it again: genvx pull {run.id}"
            )
        asked = PullRun(run.asked_as, everything=True, events=True)
        found = made(host, asked, lambda: None)
        self.run = run
        self.manifest: Manifest = found.files.manifest
        self.left_out = found.left_out
        self._files = found.files
        self.made = frozenset(each.name for each in self.manifest.entries)
        if run.spec.project is not None and run.pulled is None:
            some = made(host, replace(asked, everything=False), lambda: None)
            self.made = frozenset(each.name for each in some.files.manifest.entries)

    def bodies(self, wanted: Sequence[int]) -> Iterable[bytes]:
        """The contents with these indices."""
        return (content for content, _ in self._files.contents(wanted))


def this_machine(name: str = "localhost") -> HostStore:
    """The runs of this machine as a store; what is put there becomes a copy among them."""
    return HostStore(LocalHost(name), _taken)


def _taken(content: Content, sent: Callable[[int, int], object], *, only_say: bool) -> Put:
    """Have a run of elsewhere here."""
    import time

    from genvx.core.runs.pulled import Pulled, Way

    run = content.run
    host = run.spec.host if run.pulled is None else run.pulled.host
    pulled = Pulled(host, time.time_ns(), Way(), everything=True, label=run.label, tags=run.tags)
    copy = Copy(os.environ, run, pulled)
    if only_say:
        with copy.landing(only_say=True) as landing:
            landed = landing.take(content.manifest, content.bodies)
        return Put(bool(landed.changed), content.manifest.files, landed.size)
    with copy:
        copy.begin()
        with copy.landing() as landing:
            landed = landing.take(content.manifest, content.bodies, got=sent)
        copy.finish()
    return Put(bool(landed.changed), content.manifest.files, landed.size)


# Start, stop, status


def start(remote: Remote, *, json: bool) -> int:
    """Make the bucket of a shelf, if it is not there, and look how its store is."""
    store = _s3(remote, "started")
    made = not store.bucket.is_there()
    if made:
        store.bucket.create()
    store.look(anew=True)
    if json:
        from genvx.cli.schema.document import print_document

        print_document("remotes start", hosts=[{"host": remote.name, "ok": True, "exit_code": 0}])
    else:
        how = "made the bucket" if made else "the bucket was there"
        print(printable(f"{remote.name} ({store.where}) is available; {how}"))
    return 0


def stop(remote: Remote, *, confirm: Callable[[str], None], force: bool, json: bool) -> None:
    """Delete the runs of a shelf and its bucket.

    Raises:
        InvalidInput: there are other objects in it, and force is not given.
    """
    store = _s3(remote, "stopped")
    store.require_bucket()
    prefix = f"{store.bucket.root}/" if store.bucket.root else ""
    every = [each.key for each in store.bucket.everything()]
    ours = [
        key for key in every if key.startswith(prefix) and key[len(prefix) :].startswith(keys.OURS)
    ]
    others = len(every) - len(ours)
    bucket = store.bucket.name
    if others and not force:
        first = next(key for key in every if key not in set(ours))
        raise InvalidInput(
            f"the bucket {bucket} has {others} object{'' if others == 1 else 's'} that "
            f"{'is' if others == 1 else 'are'} not of this shelf, such as {printable(first, 100)}; "
            "--force deletes them, too"
        )
    runs = sum(keys.run_of_key(key[len(prefix) :]) is not None for key in ours)
    what = f"delete the bucket {bucket} with {runs} run{'' if runs == 1 else 's'}"
    confirm(what + (f" and {others} objects that are not of this shelf" if others else ""))
    store.bucket.remove(every)
    if json:
        from genvx.cli.schema.document import print_document

        print_document("remotes stop", remote=remote.name, machine=None)
        return
    print(f"Deleted the bucket {bucket} with {runs} run{'' if runs == 1 else 's'}")


def status(remote: Remote, *, json: bool) -> int:
    """Print whether a shelf is available, and how many runs it has; return the exit code."""
    from genvx.cli.schema.document import print_document

    store = store_of(remote, os.environ, tell)
    which = {"name": remote.name, "type": remote.type, "where": remote.where or None}
    try:
        if isinstance(store, S3Store):
            store.require_bucket()
            runs = store.count()
            store.look()
        else:
            runs = len(store.list()) + len(store.list(deleted=True))
    except (CloudError, InvalidInput) as error:
        if json:
            print_document("remotes status", remote=which, available=False, hosts=[])
        head = f"{remote.name} ({remote.where})"
        say(f"genvx: {printable(f'{head} is not available: {error}')}")
        return InvalidInput.exit_code
    if json:
        print_document("remotes status", remote=which, available=True, hosts=[])
    else:
        many = f"{runs} run{'' if runs == 1 else 's'}"
        print(printable(f"{remote.name} ({remote.where}) is available: {many}"))
    return 0


def _s3(remote: Remote, what: str) -> S3Store:
    if remote.type != "s3":
        raise InvalidInput(f"remote {remote.name} is of type {remote.type}, which cannot be {what}")
    return s3_store(remote, os.environ, tell)


# Push


def push(store: Store, host: LocalHost, run: RunInfo, sent: Any, *, only_say: bool) -> Put:
    """Copy a run of this machine to a store; a file that changes meanwhile is read again."""
    from genvx.fleet.shipping.reading import until_unchanged

    def copy() -> Put:
        content = Here(host, run)
        for line in content.left_out:
            say(f"genvx: not copied: {line}")
        return store.put(content, sent, only_say=only_say)

    return until_unchanged(copy)


def summary(where: str, run: RunInfo, put: Put, *, only_say: bool) -> str:
    """What was done, or would be, in a line."""
    from genvx.core.quantities.amounts import format_size

    if not put.new:
        return f"Run {run.label_or_id} is on {where} already"
    did = "Would push" if only_say else "Pushed"
    many = f"{put.files} file{'' if put.files == 1 else 's'}"
    size = f"{format_size(put.size)} {'to send' if only_say else 'sent'}" if put.size else ""
    return f"{did} run {run.label_or_id} to {where}: {', '.join(x for x in (many, size) if x)}"
