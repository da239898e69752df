"""From the files to remotes: entries are merged by name, and take over what they extend."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genvx.core.text import printable
from genvx.errors import UnknownRemote
from genvx.fleet.remotes import keys
from genvx.fleet.remotes.files import PROJECT, sources, usual
from genvx.fleet.remotes.inline import inline
from genvx.fleet.remotes.remote import Remote, Written
from genvx.fleet.remotes.yamltext import Pairs, Text, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from genvx.fleet.remotes.files import Source
    from genvx.fleet.remotes.yamltext import Node, Place

_MOST = 1000
# A chain of remotes that extend each other; nobody writes one that is longer than a few.
_MOST_LEVELS = 16


@dataclass(frozen=True)
class _Entry:
    """A remote as one file has it. written: its keys by their one name, each with where it is."""

    name: str
    place: Place
    written: dict[str, Written]
    extends: tuple[str, ...]


@dataclass(frozen=True)
class Remotes:
    """The remotes of a user here, by name."""

    remotes: dict[str, Remote]
    looked: str

    def named(self, name: str) -> Remote:
        """Return the remote with this name.

        Raises:
            UnknownRemote: there is none; the message names the nearest.
        """
        if name in self.remotes:
            return self.remotes[name]
        shown = printable(name, 60)
        if not self.remotes:
            raise UnknownRemote(
                f"no remote {shown!r}: there are none in {self.looked}; "
                f"--remote ssh:{shown} names a host"
            )
        near = difflib.get_close_matches(name, self.remotes, 1, 0.5)
        known = f"genvx remotes lists them; --remote ssh:{shown} names a host"
        raise UnknownRemote(f"no remote {shown!r}; {f'did you mean {near[0]}?' if near else known}")


def load(
    environ: Mapping[str, str] | None = None, tell: Callable[[str], object] = lambda line: None
) -> Remotes:
    """Read the remotes of the user and of the project of the current directory.

    tell: called with a line about a file that is not loaded.

    Raises:
        InvalidRemotes: a file cannot be used, or has a fault; the message says where.
    """
    environ = os.environ if environ is None else environ
    entries: dict[str, _Entry] = {}
    for source in sources(environ, tell):
        # Whole remotes: were they mixed key by key, a project could have a password that the user's
        # own file names sent to a host of its choice.
        entries.update(_entries(source))
    looked = f"{environ.get('GENVX_REMOTES') or usual(environ)}, nor in a {PROJECT} here or above"
    known: dict[str, _Whole] = {}
    return Remotes({name: _remote(name, entries, known) for name in entries}, looked)


def remote_named(
    name: str, environ: Mapping[str, str], tell: Callable[[str], object] = lambda line: None
) -> Remote:
    """Return the remote that a person names: of a file, or written out as ssh:user@host:port.

    Raises:
        UnknownRemote: there is none. InvalidRemotes: as `load`. InvalidInput: it cannot be read.
    """
    return inline(name) if ":" in name else load(environ, tell).named(name)


def remotes_named(
    names: str, environ: Mapping[str, str], tell: Callable[[str], object] = lambda line: None
) -> list[Remote]:
    """Return the remotes that a person names, several after commas. Raises as `remote_named`."""
    # What is written out may have commas of its own.
    words = [names] if ":" in names else [word for word in names.split(",") if word]
    return [remote_named(word, environ, tell) for word in dict.fromkeys(words or [names])]


def _entries(source: Source) -> dict[str, _Entry]:
    tree = parse(source.text, source.path)
    if tree is None:
        return {}
    if not isinstance(tree, Pairs):
        tree.place.fail("the file is a mapping that begins with: remotes:")
    found: dict[str, _Entry] = {}
    for key, value in tree.pairs:
        if key.value != "remotes":
            near = difflib.get_close_matches(key.value, ["remotes"])
            advice = "did you mean remotes?" if near else "there is only remotes"
            key.place.fail(f"unknown key {printable(key.value, 40)!r}; {advice}")
        if isinstance(value, Text) and not value.value:
            continue
        if not isinstance(value, Pairs):
            value.place.fail("remotes is a mapping of names")
        if len(value.pairs) > _MOST:
            value.place.fail(f"more than {_MOST} remotes")
        for name, keys_of in value.pairs:
            found[name.value] = _entry(name, keys_of, source)
    return found


def _entry(name: Text, node: Node, source: Source) -> _Entry:
    if not keys.NAME.fullmatch(name.value):
        name.place.fail(
            f"not a name of a remote: {printable(name.value, 60)!r}; letters, digits and ._@+- are"
        )
    if not isinstance(node, Pairs):
        node.place.fail(f"{name.value} needs keys, such as type: ssh and host: NAME")
    # The type first: it says which keys there are.
    kind = None
    for key, value in node.pairs:
        if key.value == "type":
            keys.check("type", value)
            kind = keys.text_of("type", value)
    written: dict[str, Written] = {}
    for key, value in node.pairs:
        word = keys.canonical(key, kind)
        if word in written:
            key.place.fail(f"{word} is here already, as {written[word].key}")
        if kind not in keys.NEVER:
            keys.check(word, value)
        written[word] = Written(key.value, value, source)
    extends = written.pop("extends", None)
    names = () if extends is None else keys.texts_of("extends", extends.node)
    return _Entry(name.value, name.place, written, names)


def _remote(name: str, entries: Mapping[str, _Entry], known: dict[str, _Whole]) -> Remote:
    entry = entries[name]
    written = _whole(entry, entries, known, (name,)).written
    kind = written.get("type")
    word = "" if kind is None else keys.text_of("type", kind.node)
    for each in written.values():
        # Also what it has taken over from a remote whose type was not known there.
        if word:
            keys.canonical(Text(each.node.place, each.key), word)
    return Remote(name, word, entry.place, written)


@dataclass(frozen=True)
class _Whole:
    """The keys of an entry and of what it extends. levels: the length of its longest chain."""

    written: dict[str, Written]
    levels: int


def _whole(
    entry: _Entry, entries: Mapping[str, _Entry], known: dict[str, _Whole], chain: tuple[str, ...]
) -> _Whole:
    """Return the keys of an entry, and those of what it extends; its own come first.

    known: the entries that are done. Each is done once: a project's file may extend one remote in
    a million ways.
    """
    if entry.name in known:
        return known[entry.name]
    written, levels = dict(entry.written), 1
    for base in entry.extends:
        if base in chain:
            entry.place.fail(f"{' extends '.join((*chain, base))}: that has no end")
        if base not in entries:
            near = difflib.get_close_matches(base, entries, 1, 0.5)
            advice = f"; did you mean {near[0]}?" if near else ""
            entry.place.fail(f"extends {printable(base, 60)!r}, which is no remote{advice}")
        if len(chain) >= _MOST_LEVELS:
            _too_long(entry)
        taken = {key for group in keys.INSTEAD if written.keys() & set(group) for key in group}
        above = _whole(entries[base], entries, known, (*chain, base))
        levels = max(levels, above.levels + 1)
        for key, value in above.written.items():
            if key not in taken:
                written.setdefault(key, value)
    # Once more by the whole chain, which does not depend on the order of the file.
    if levels > _MOST_LEVELS:
        _too_long(entry)
    known[entry.name] = whole = _Whole(written, levels)
    return whole


def _too_long(entry: _Entry) -> NoReturn:
    entry.place.fail(f"more than {_MOST_LEVELS} remotes extend each other in a chain")
