"""Which files of a directory are its project, and what they are.

Where git is installed, git says which files belong; elsewhere our own reading of .gitignore does.
Files with a name of OURS leave more out, or bring something back. A repository inside decides for
itself.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Optional

from genvx.core.projects.ignoring import Rules, parse, verdict
from genvx.core.projects.links import leads_out
from genvx.core.projects.manifest import DEEPEST, DIRECTORY, FILE, LINK, STAGE, shown_name
from genvx.errors import InvalidInput
from genvx.local.trees import git
from genvx.local.trees.clearing import parents
from genvx.local.trees.status import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.projects.manifest import Entry

OURS = (b".genvxignore", b".nniignore", b".guildignore")
_GITIGNORE = b".gitignore"
_MOST_RULES = 1 << 20
_MOST_NAMED = 5
_KINDS = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Found(NamedTuple):
    """A file of a project before its content was read, with what the kernel says of it."""

    entry: Entry
    status: os.stat_result


class _Scope(NamedTuple):
    """What decides in a directory. listed: the names that git lists, and the directories of those;
    None where it is not asked. prefix: from the top of the repository to the project.
    """

    listed: Optional[frozenset[bytes]]
    above: frozenset[bytes]
    theirs: tuple[Rules, ...]
    ours: tuple[Rules, ...]
    prefix: bytes = b""


def walk(root: bytes, *, follow_links: bool = False, everything: bool = False) -> list[Found]:
    """The files of the project in a directory, its directories and its links, ordered by name.

    follow_links: send what is behind links that lead out, instead of refusing them. everything:
    also what is ignored.

    Raises:
        InvalidInput: it is no directory; or something in it cannot be sent, with its names.
    """
    if not os.path.isdir(root):
        if os.path.lexists(root):
            raise InvalidInput(f"{shown_name(root)} is not a directory")
        raise InvalidInput(f"no such directory: {shown_name(root)}")
    if os.path.realpath(root) == b"/":
        raise InvalidInput("/ is the whole machine; name a directory in it")
    walker = _Walker(root, follow_links=follow_links, everything=everything)
    walker.directory(b"", walker.scope(b""))
    found = sorted(walker.found)
    walker.check_links()
    if walker.refused:
        raise InvalidInput(_refusal(walker.refused))
    return found


class Ignoring:
    """Whether names that need not be in a directory here are ignored in it, by our own reading of
    its files.
    """

    def __init__(self, root: bytes) -> None:
        self._walker = _Walker(root, follow_links=False, everything=False)
        self._known: dict[bytes, Optional[_Scope]] = {}

    def __call__(self, name: bytes, *, directory: bool) -> bool:
        """Whether a name is ignored, or is in a directory that is."""
        scope = self._scope(name.rpartition(b"/")[0])
        return scope is None or self._is_ignored(name, scope, directory=directory)

    def _is_ignored(self, name: bytes, scope: _Scope, *, directory: bool) -> bool:
        mine = verdict(scope.ours, name, directory=directory)
        return mine is True or (mine is None and not _belongs(name, scope, directory=directory))

    def _scope(self, name: bytes) -> Optional[_Scope]:
        """What decides in a directory; None if that is ignored."""
        if name not in self._known:
            above: Optional[_Scope] = self._walker.without_git(b"")
            if name:
                above = self._scope(name.rpartition(b"/")[0])
                if above is None or self._is_ignored(name, above, directory=True):
                    above = None
            files = (*OURS, _GITIGNORE)
            self._known[name] = above and self._walker.within(name, above, files)
        return self._known[name]


def _refusal(refused: list[str]) -> str:
    more = len(refused) - _MOST_NAMED
    named = "; ".join(sorted(refused)[:_MOST_NAMED])
    leads = any(each.startswith("the link") and " leads out " in each for each in refused)
    return (
        f"the project cannot be sent: {named}"
        + (f"; and {more} more" if more > 0 else "")
        + "; .genvxignore can leave them out"
        + (", and --follow-links sends what is behind such links" if leads else "")
    )


class _Walker:
    def __init__(self, root: bytes, *, follow_links: bool, everything: bool) -> None:
        self._root = root
        self._follow = follow_links
        self._everything = everything
        self._git = git.is_there()
        self._inside: set[tuple[int, int]] = set()
        self.found: list[Found] = []
        self.refused: list[str] = []

    def scope(self, name: bytes) -> _Scope:
        """What decides at the top of a project, or in a repository inside."""
        if self._everything:
            return _Scope(None, frozenset(), (), ())
        path = os.path.join(self._root, name) if name else self._root
        start = name + b"/" if name else b""
        if self._git:
            names = {start + each for each in git.listed(path)}
            above = {parent for each in names for parent in parents(each)}
            return _Scope(frozenset(names), frozenset(above), (), ())
        return self.without_git(name)

    def without_git(self, name: bytes) -> _Scope:
        """What the files of the directories above say, up to the top of the repository."""
        if name:  # a repository inside: what is above is not of its repository
            return _Scope(None, frozenset(), self._exclude(self._root + b"/" + name, name), ())
        top = os.path.abspath(self._root)
        while not os.path.exists(os.path.join(top, b".git")):
            if top == b"/":
                return _Scope(None, frozenset(), (), ())
            top = os.path.dirname(top)
        below = os.path.relpath(os.path.abspath(self._root), top)
        prefix = b"" if below == b"." else below + b"/"
        theirs = list(self._exclude(top, b""))
        place = b""
        for part in prefix.split(b"/")[:-1]:
            theirs += self._rules(os.path.join(top, place, _GITIGNORE), place)
            place += part + b"/"
        return _Scope(None, frozenset(), tuple(theirs), (), prefix)

    def _exclude(self, top: bytes, name: bytes) -> tuple[Rules, ...]:
        path = os.path.join(top, b".git", b"info", b"exclude")
        return tuple(self._rules(path, name + b"/" if name else b""))

    def _rules(self, path: bytes, place: bytes) -> Iterable[Rules]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        try:
            patterns = parse(os.read(descriptor, _MOST_RULES))
        except OSError:
            return []  # such as a directory with this name
        finally:
            os.close(descriptor)
        return [Rules(place, patterns)] if patterns else []

    def directory(self, name: bytes, scope: _Scope) -> None:
        """Walk through a directory that belongs to the project."""
        path = os.path.join(self._root, name) if name else self._root
        start = name + b"/" if name else b""
        try:
            with os.scandir(path) as entries:
                children = list(entries)
        except OSError as error:
            self.refused.append(f"{shown_name(name or path)} cannot be read ({error.strerror})")
            return
        scope = self.within(name, scope, {child.name for child in children})
        for child in children:
            if child.name.lower() not in (b".git", STAGE):
                self._child(start + child.name, child, scope)

    def within(self, name: bytes, scope: _Scope, files: Iterable[bytes]) -> _Scope:
        """What decides in a directory, by what decides above it. files: the names in it."""
        if self._everything:
            return scope
        path = os.path.join(self._root, name) if name else self._root
        start = name + b"/" if name else b""
        ours = list(scope.ours)
        for file in reversed(OURS):
            if file in files:
                ours += self._rules(os.path.join(path, file), start)
        theirs = list(scope.theirs)
        if _GITIGNORE in files:
            theirs += self._rules(os.path.join(path, _GITIGNORE), scope.prefix + start)
        return scope._replace(ours=tuple(ours), theirs=tuple(theirs))

    def _child(self, name: bytes, child: os.DirEntry[bytes], scope: _Scope) -> None:
        try:
            status = child.stat(follow_symlinks=False)
        except OSError:
            return  # it has gone meanwhile
        directory = stat.S_ISDIR(status.st_mode)
        # Git lists no sockets and the like, and says nothing of them.
        listed = stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)
        mine = verdict(scope.ours, name, directory=directory)
        asked = scope if listed or directory else scope._replace(listed=None)
        if mine is True or (mine is None and not _belongs(name, asked, directory=directory)):
            return
        if directory and name.count(b"/") >= DEEPEST:
            self.refused.append(f"{shown_name(name)} is more than {DEEPEST} directories deep")
        elif directory:
            self.found.append(Found(entry_of(name, DIRECTORY, status), status))
            if os.path.lexists(os.path.join(self._root, name, b".git")):
                inside = self.scope(name)
                self.directory(name, inside._replace(ours=scope.ours))
            elif mine is False and scope.listed is not None and name not in scope.above:
                # Brought back: git has not listed what is in it.
                self.directory(name, scope._replace(listed=None))
            else:
                self.directory(name, scope)
        elif stat.S_ISLNK(status.st_mode):
            self._link(name, status, scope)
        else:
            self._file(name, status)

    def _file(self, name: bytes, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no file")
            self.refused.append(f"{shown_name(name)} is {kind}")
        elif not os.access(os.path.join(self._root, name), os.R_OK):
            self.refused.append(f"{shown_name(name)} cannot be read (Permission denied)")
        else:
            self.found.append(Found(entry_of(name, FILE, status), status))

    def _link(self, name: bytes, status: os.stat_result, scope: _Scope) -> None:
        path = os.path.join(self._root, name)
        try:
            target = os.readlink(path)
        except FileNotFoundError:
            return  # it has gone meanwhile
        except OSError as error:
            self.refused.append(f"{shown_name(name)} cannot be read ({error.strerror})")
            return
        # Whether it leads out by way of other links is known only at the end; those are refused.
        if not self._follow or not leads_out(name, target, {}):
            entry = entry_of(name, LINK, status)._replace(target=target)
            self.found.append(Found(entry, status))
            return
        try:
            behind = os.stat(path)
        except OSError as error:
            self.refused.append(f"the link {shown_name(name)} leads nowhere ({error.strerror})")
            return
        if not stat.S_ISDIR(behind.st_mode):
            self._file(name, behind)
            return
        key = (behind.st_dev, behind.st_ino)
        if key in self._inside:
            self.refused.append(f"the link {shown_name(name)} leads to a directory around itself")
            return
        self._inside.add(key)
        self.found.append(Found(entry_of(name, DIRECTORY, behind), behind))
        self.directory(name, scope._replace(listed=None))
        self._inside.discard(key)

    def check_links(self) -> None:
        """Refuse the links that lead out."""
        links = {each.entry.name: each.entry.target for each in self.found if each.entry.target}
        for name, target in links.items():
            if leads_out(name, target, links):
                self.refused.append(
                    f"the link {shown_name(name)} leads out of it, to {shown_name(target)}"
                )


def _belongs(name: bytes, scope: _Scope, *, directory: bool) -> bool:
    """Whether a name belongs to the project, as far as git decides that."""
    if scope.listed is not None:
        if name in scope.listed or name in scope.above or name + b"/" in scope.listed:
            return True
        if not directory:
            return False
    # Git lists no directory without files, and of what was brought back it lists nothing.
    return not verdict(scope.theirs, scope.prefix + name, directory=directory)
