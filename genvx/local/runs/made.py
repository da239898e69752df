"""What a run has made: its log, and files in its directory that are new or were changed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from genvx.core.projects.choosing import chosen
from genvx.core.projects.links import depends, leads_out
from genvx.core.projects.manifest import (
    DIRECTORY,
    FILE,
    LINK,
    Entry,
    Manifest,
    fault_of,
    shown_name,
)
from genvx.core.projects.plan import Known
from genvx.core.projects.project import Project
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import Pulling
from genvx.errors import StateError, TreeMissing
from genvx.local.diskerror import disk_error
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.places import WORK
from genvx.local.runs.projectdiff import DIFF
from genvx.local.runs.record import EVENTS, LOG
from genvx.local.trees.hashes import Changed, HashCache, read_digests
from genvx.local.trees.place import OPEN_DIRECTORY, Place
from genvx.local.trees.project import LocalProject
from genvx.local.trees.status import entry_of
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Callable

    from genvx.core.projects.plan import Landed
    from genvx.core.wire.treeoperations import PullRun
    from genvx.local.machine import Machine
    from genvx.local.trees.landing import Landing

_READ = os.O_RDONLY | os.O_NONBLOCK
_TRIES = 3
_MOST_NOTES = 1000


class Made(NamedTuple):
    """What a run has made. run: its id. files: with their contents. left_out: what cannot be sent,
    in words. known: the names of all that is in its directory, whatever of it is sent.
    """

    run: str
    files: LocalProject
    left_out: tuple[str, ...]
    known: Known


def made(host: Machine, asked: PullRun, busy: Callable[[], None]) -> Made:
    """Find what a run has made.

    busy: called often meanwhile.

    Raises:
        UnknownRun, NotOwner: as RunCatalog.find. StateError: its directory cannot be read, or is
        none any more.
    """
    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    with catalog.open(run) as directory:
        root = os.fsencode(directory.path)
    top = b"" if asked.bare else WORK.encode() + b"/"
    finder = _Finder(host, os.path.join(root, WORK.encode()), top, busy)
    finder.walk()
    entries = finder.entries
    if not asked.everything and run.spec.project is not None:
        entries = _without(entries, top, _project(host, run.spec.project))
    if asked.only:
        entries = [e for e in entries if chosen(e.name[len(top) :], asked.only)]
    entries = _with_parents(entries, finder.entries)
    # Where they come to, a client refuses them.
    there = {each.name for each in entries if each.kind == DIRECTORY}
    loose = {e.name for e in entries if e.kind == LINK and depends(e.name, e.target, there)}
    finder.left_out += [
        f"the link {shown_name(each)} goes up from what is not copied" for each in loose
    ]
    entries = [each for each in entries if each.name not in loose]
    if not asked.bare:
        entries += finder.of_top if entries else []
        for name in (LOG, EVENTS, DIFF) if asked.events else (LOG,):
            entries += finder.of_log(root, name)
    finder.cache.save()
    try:
        manifest = Manifest(entries)
    except Malformed as error:
        raise StateError(f"what the run has made cannot be sent: {error}") from None
    recorded = Project(manifest.tree, run.id, manifest.files, manifest.size)
    base = finder.root if asked.bare else root
    files = LocalProject(base, manifest, recorded, finder.cache, follow_links=False)
    known = Known(finder.seen, tuple(finder.unknown))
    return Made(run.id, files, tuple(finder.left_out[:_MOST_NOTES]), known)


def bring(
    host: Machine,
    asked: PullRun,
    target: Landing,
    got: Callable[[int, int], object],
    choose: Callable[[Known], Sequence[bytes]] = lambda known: (),
) -> tuple[Pulling, Landed]:
    """Copy what a run here has made into another directory; return which run it is and what was
    left out, and what became of it there. Arguments and errors: as fleet.shipping.fetching.
    """
    found = made(host, asked, lambda: None)

    def bodies(wanted: list[int]) -> Iterator[bytes]:
        return (content for content, _ in found.files.contents(wanted))

    known = found.known if asked.names else None
    landed = target.take(found.files.manifest, bodies, known, choose, got)
    return Pulling(found.run, found.left_out), landed


def _project(host: Machine, project: Project) -> dict[bytes, Entry]:
    """The files that the run started with, by name; none if they are not stored any more."""
    try:
        with TreeStore(trees_root(host.environ)).open(project.tree) as tree:
            return {entry.name: entry for entry in tree.manifest.entries}
    except TreeMissing:
        return {}


def _without(entries: list[Entry], top: bytes, project: dict[bytes, Entry]) -> list[Entry]:
    """The entries that are not as they were in the project."""

    def same(entry: Entry) -> bool:
        before = project.get(entry.name[len(top) :])
        if before is None or before.kind != entry.kind:
            return False
        return entry.kind == DIRECTORY or (
            (before.digests, before.target, before.mode)
            == (entry.digests, entry.target, entry.mode)
        )

    return [entry for entry in entries if not same(entry)]


def _with_parents(entries: list[Entry], every: list[Entry]) -> list[Entry]:
    """The entries, with the directories in which they are."""
    names = {entry.name for entry in entries}
    needed: set[bytes] = set()
    for name in names:
        parent = name.rpartition(b"/")[0]
        while parent and parent not in needed:
            needed.add(parent)
            parent = parent.rpartition(b"/")[0]
    lacking = needed - names
    return entries + [each for each in every if each.name in lacking]


class _Finder:
    """Finds the files below a directory, without a rule of what belongs to it."""

    def __init__(self, host: Machine, root: bytes, top: bytes, busy: Callable[[], None]) -> None:
        self.root = root
        self.cache = HashCache(host.environ, root)
        self.entries: list[Entry] = []
        self.of_top: list[Entry] = []
        self.left_out: list[str] = []
        self.seen: dict[bytes, bool] = {}
        self.unknown: list[bytes] = []
        self._top = top
        self._busy = busy

    def walk(self) -> None:
        """Take all that is below. Raises StateError if the directory cannot be read."""
        try:
            descriptor = os.open(self.root, OPEN_DIRECTORY)
        except FileNotFoundError:
            return  # a run that has not begun
        except OSError as error:
            raise disk_error(error, f"read {shown_name(self.root)}") from None
        try:
            self.of_top = [entry_of(self._top[:-1], DIRECTORY, os.fstat(descriptor))]
            with Place(descriptor) as place:
                # Without recursion: a run may have made more directories in directories than
                # Python's stack has room for.
                waiting = [b""]
                while waiting:
                    waiting += self._directory(place, waiting.pop())
        finally:
            os.close(descriptor)
        links = {e.name: e.target for e in self.entries if e.kind == LINK}
        out = {name for name, target in links.items() if leads_out(name, target, links)}
        self.left_out += [f"{shown_name(name)} leads out of the run's directory" for name in out]
        self.entries = [e for e in self.entries if e.name not in out]

    def of_log(self, root: bytes, name: str) -> list[Entry]:
        """The log as it is now, or what is only appended to as well: so much of it does not
        change.
        """
        try:
            descriptor = os.open(os.path.join(root, name.encode()), _READ | os.O_NOFOLLOW)
        except OSError:
            return []
        try:
            status = os.fstat(descriptor)
            digests = read_digests(descriptor, status, grows=True, busy=self._busy)
        except Changed:
            return []
        finally:
            os.close(descriptor)
        return [entry_of(name.encode(), FILE, status)._replace(digests=digests)]

    def _directory(self, place: Place, name: bytes) -> list[bytes]:
        """Take what is in a directory; return the directories in it."""
        below: list[bytes] = []
        try:
            with os.scandir(place.directory(name)) as entries:
                children = sorted(os.fsencode(entry.name) for entry in entries)
        except FileNotFoundError:
            return []  # deleted meanwhile
        except OSError as error:
            if not name:
                raise disk_error(error, f"read {shown_name(self.root)}") from None
            self.left_out.append(f"{shown_name(name)} ({error.strerror})")
            self.unknown.append(self._top + name)
            return []
        for child in children:
            path = name + b"/" + child if name else child
            if fault_of(Entry(path, FILE, 0, 0)) is None:
                self.seen[self._top + path] = False
            if child == b".git":
                self.left_out.append(f"{shown_name(path)}, a repository")
                continue
            try:
                if self._is_directory(place, path):
                    below.append(path)
            except FileNotFoundError:
                continue  # deleted meanwhile
            except OSError as error:
                self.left_out.append(f"{shown_name(path)} ({error.strerror})")
            self._busy()
        return below

    def _is_directory(self, place: Place, path: bytes) -> bool:
        """Take a file, link or directory; return whether it is a directory that was taken."""
        parent, last = place.split(path)
        status = os.stat(last, dir_fd=parent, follow_symlinks=False)
        name = self._top + path
        if stat.S_ISDIR(status.st_mode):
            self.seen[name] = True
            return self._take(path, entry_of(name, DIRECTORY, status))
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(last, dir_fd=parent)
            self._take(path, entry_of(name, LINK, status)._replace(target=target))
        elif stat.S_ISREG(status.st_mode):
            self._file(place, path, name)
        else:
            self.left_out.append(f"{shown_name(path)} is neither a file nor a link")
        return False

    def _take(self, path: bytes, entry: Entry) -> bool:
        """Take an entry; return False, and name it, if none such can be sent."""
        fault = fault_of(entry)
        if fault is None:
            self.entries.append(entry)
        else:
            self.left_out.append(f"{shown_name(path)}: {fault}")
        return fault is None

    def _file(self, place: Place, path: bytes, name: bytes) -> None:
        descriptor = place.open(path, _READ)
        try:
            for _ in range(_TRIES):
                status = os.fstat(descriptor)
                known = self.cache.known(status)
                try:
                    # A client takes us for lost if it hears nothing while a large file is read.
                    digests = known or self.cache.digests(descriptor, status, self._busy)
                except Changed:
                    continue
                self._take(path, entry_of(name, FILE, status)._replace(digests=digests))
                return
            self.left_out.append(f"{shown_name(path)}, which is being written")
        finally:
            os.close(descriptor)
