"""What a run has made: its log, and the files in its directory that its project did not have."""

from __future__ import annotations

import fnmatch
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from genvx.core.projects.links import leads_out
from genvx.core.projects.manifest import DIRECTORY, FILE, LINK, Entry, Manifest, shown_name
from genvx.core.projects.project import Project
from genvx.core.wire.plain import Malformed
from genvx.core.wire.treeoperations import Pulling
from genvx.errors import StateError, TreeMissing
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.record import LOG, WORK
from genvx.local.trees.hashes import Changed, HashCache, read_digests
from genvx.local.trees.place import Place
from genvx.local.trees.project import LocalProject
from genvx.local.trees.store import TreeStore, trees_root

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.wire.treeoperations import PullRun
    from genvx.local.machine import Machine
    from genvx.local.trees.landing import Landing

_READ = os.O_RDONLY | os.O_NONBLOCK
_TRIES = 3
_MOST_NOTES = 1000


class Made(NamedTuple):
    """What a run has made. run: its id. files: with their contents. left_out: what cannot be sent,
    in words.
    """

    run: str
    files: LocalProject
    left_out: tuple[str, ...]


def made(host: Machine, asked: PullRun, busy: Callable[[], None]) -> Made:
    """Find what a run has made.

    busy: called often meanwhile.

    Raises:
        UnknownRun, NotOwner: as RunCatalog.find. StateError: its directory cannot be read.
    """
    catalog = RunCatalog(host)
    run = catalog.find(asked.run)
    with catalog.open(run) as directory:
        root = os.fsencode(directory.path)
    top = b"" if asked.bare else WORK.encode() + b"/"
    finder = _Finder(host, os.path.join(root, WORK.encode()), top, busy)
    finder.walk(b"")
    entries = finder.entries
    if not asked.everything and run.spec.project is not None:
        entries = _without(entries, top, _project(host, run.spec.project))
    if asked.only:
        entries = [e for e in entries if _chosen(e.name[len(top) :], asked.only)]
    entries = _with_parents(entries, finder.entries)
    if not asked.bare:
        entries += finder.of_log(root)
        work = os.stat(os.path.join(root, WORK.encode())) if entries else None
        if work is not None and any(e.name.startswith(top) for e in entries):
            entries.append(Entry(top[:-1], DIRECTORY, work.st_mode & 0o777, work.st_mtime_ns))
    finder.cache.save()
    try:
        manifest = Manifest(entries)
    except Malformed as error:
        raise StateError(f"what the run has made cannot be sent: {error}") from None
    recorded = Project(manifest.tree, run.id, manifest.files, manifest.size)
    base = finder.root if asked.bare else root
    files = LocalProject(base, manifest, recorded, follow_links=False)
    return Made(run.id, files, tuple(finder.left_out[:_MOST_NOTES]))


def bring(
    host: Machine, asked: PullRun, target: Landing, got: Callable[[int, int], object]
) -> tuple[Pulling, int]:
    """Bring what a run here has made into another directory; return what is to be said of it, and
    how many files are new there. Arguments and errors: as fleet.shipping.fetching.fetch.
    """
    found = made(host, asked, lambda: None)
    manifest = found.files.manifest
    bodies = manifest.bodies()
    wanted = target.lacking(manifest)
    done, total = 0, sum(bodies[index].size for index in wanted)
    for index, (content, _) in zip(wanted, found.files.contents(wanted)):
        target.put(index, content)
        done += len(content)
        got(done, total)
    return Pulling(found.run, found.left_out), target.finish()


def _project(host: Machine, project: Project) -> dict[bytes, Entry]:
    """The files that the run has got, by name; none where they are not kept any more."""
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


def _chosen(name: bytes, only: tuple[str, ...]) -> bool:
    """Whether a name fits a pattern: its last part, or with a slash in the pattern all of it."""
    for pattern in map(os.fsencode, only):
        compared = name if b"/" in pattern else name.rpartition(b"/")[2]
        if fnmatch.fnmatchcase(compared, pattern):
            return True
    return False


def _with_parents(entries: list[Entry], every: list[Entry]) -> list[Entry]:
    """The entries, with the directories in which they are."""
    names = {entry.name for entry in entries}
    needed = set()
    for name in names:
        while b"/" in name:
            name = name.rpartition(b"/")[0]
            needed.add(name)
    return entries + [e for e in every if e.name in needed - names]


class _Finder:
    """Finds the files below a directory, without a rule of what belongs to it."""

    def __init__(self, host: Machine, root: bytes, top: bytes, busy: Callable[[], None]) -> None:
        self.root = root
        self.cache = HashCache(host.environ, root)
        self.entries: list[Entry] = []
        self.left_out: list[str] = []
        self._top = top
        self._busy = busy

    def walk(self, name: bytes) -> None:
        """Take what is in a directory below."""
        try:
            descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return  # a run that has not begun
        try:
            with Place(descriptor) as place:
                self._directory(place, name)
        finally:
            os.close(descriptor)
        links = {e.name: e.target for e in self.entries if e.kind == LINK}
        out = {name for name, target in links.items() if leads_out(name, target, links)}
        self.left_out += [f"{shown_name(name)} leads out of the run's directory" for name in out]
        self.entries = [e for e in self.entries if e.name not in out]

    def of_log(self, root: bytes) -> list[Entry]:
        """The log as it is now; it is only appended to, so this much of it does not change."""
        try:
            descriptor = os.open(os.path.join(root, LOG.encode()), _READ | os.O_NOFOLLOW)
        except OSError:
            return []
        try:
            status = os.fstat(descriptor)
            digests = read_digests(descriptor, status, grows=True)
        except Changed:
            return []
        finally:
            os.close(descriptor)
        sparse = status.st_blocks * 512 < status.st_size
        mode, size = status.st_mode & 0o777, status.st_size
        return [Entry(LOG.encode(), FILE, mode, status.st_mtime_ns, size, digests, sparse=sparse)]

    def _directory(self, place: Place, name: bytes) -> None:
        with os.scandir(place.directory(name)) as entries:
            children = sorted(os.fsencode(entry.name) for entry in entries)
        for child in children:
            path = name + b"/" + child if name else child
            if child == b".git":
                self.left_out.append(f"{shown_name(path)}, a repository")
                continue
            try:
                self._child(place, path)
            except FileNotFoundError:
                continue  # deleted meanwhile
            except OSError as error:
                self.left_out.append(f"{shown_name(path)} ({error.strerror})")
            self._busy()

    def _child(self, place: Place, path: bytes) -> None:
        parent, last = place.split(path)
        status = os.stat(last, dir_fd=parent, follow_symlinks=False)
        name, mode = self._top + path, status.st_mode & 0o777
        if stat.S_ISDIR(status.st_mode):
            self.entries.append(Entry(name, DIRECTORY, mode, status.st_mtime_ns))
            self._directory(place, path)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(last, dir_fd=parent)
            self.entries.append(Entry(name, LINK, 0o777, status.st_mtime_ns, target=target))
        elif stat.S_ISREG(status.st_mode):
            self._file(place, path, name)
        else:
            self.left_out.append(f"{shown_name(path)} is neither a file nor a link")

    def _file(self, place: Place, path: bytes, name: bytes) -> None:
        descriptor = place.open(path, _READ)
        try:
            for _ in range(_TRIES):
                status = os.fstat(descriptor)
                known = self.cache.known(status)
                try:
                    digests = self.cache.digests(descriptor, status) if known is None else known
                except Changed:
                    continue
                sparse = status.st_blocks * 512 < status.st_size
                mode, size = status.st_mode & 0o777, status.st_size
                self.entries.append(
                    Entry(name, FILE, mode, status.st_mtime_ns, size, digests, sparse=sparse)
                )
                return
            self.left_out.append(f"{shown_name(path)}, which is being written")
        finally:
            os.close(descriptor)
