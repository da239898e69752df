"""YAML as text: mappings, lists and words, each with its place; the only module that imports yaml.

PyYAML's parser gives events, and a tree of text is built of them here. No object is ever made of a
tag, no word becomes a number or a truth value, and depth, size and repetition are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from genvx.core.text import printable
from genvx.errors import InvalidInput, InvalidRemotes

if TYPE_CHECKING:
    from collections.abc import Iterator

# A remote is three levels deep. The nodes are counted with those that an alias repeats: ten lines
# of aliases to aliases would otherwise be a billion nodes.
_MOST_DEPTH = 16
_MOST_NODES = 20_000

_PLAIN_TAGS = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))}
_MERGE = "<<"
# Errors never show the word of a value: it may be a password, which somebody wrote without quotes.
_NO_TAGS = "tags are refused; put a text that begins with ! in quotes"


@dataclass(frozen=True)
class Place:
    """Where something is written. line, column: counted from 1."""

    source: str
    line: int
    column: int

    def fail(self, message: str) -> NoReturn:
        """Raise InvalidRemotes for a fault here."""
        raise InvalidRemotes(
            f"{printable(self.source, 200)}:{self.line}:{self.column}: {message}"
        ) from None


@dataclass(frozen=True)
class Text:
    """A scalar, as it is written.

    quoted: whether it has quotes, or is a block of lines, and so is a text whatever it looks like.
    """

    place: Place
    value: str
    size: int = 1
    quoted: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    place: Place
    items: tuple[Node, ...]
    size: int


@dataclass(frozen=True)
class Pairs:
    """A mapping, in its order."""

    place: Place
    pairs: tuple[tuple[Text, Node], ...]
    size: int


Node = Text | Items | Pairs


def parse(text: str, source: str) -> Node | None:
    """Return the tree of a document; None if it is empty.

    source: the name of the file in errors.

    Raises:
        InvalidRemotes: it is no YAML, or has what is refused: tags, a key twice, several documents,
        too many levels or nodes. InvalidInput: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise InvalidInput(
            f"{printable(source, 200)} needs PyYAML: pip install 'genvx[remotes]'"
        ) from None
    try:
        return _Builder(source).document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(source, before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1)
        place.fail(f"a character that YAML does not allow: {printable(text[error.position])}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(source, 1, 1) if mark is None else _place(source, mark)
        problem = error.problem or error.context or "no reason"
        if "tag handle" in problem:
            place.fail(_NO_TAGS)
        place.fail(f"not YAML: {printable(problem, 200)}")


def _place(source: str, mark: Any) -> Place:
    return Place(source, mark.line + 1, mark.column + 1)


class _Builder:
    def __init__(self, source: str) -> None:
        self._source = source
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def document(self, events: Iterator[Any]) -> Node | None:
        found: Node | None = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    _place(self._source, event.start_mark).fail("a second document; there is one")
            elif kind not in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
                found = self._node(event, events, 0)
        empty = isinstance(found, Text) and not found.value
        return None if empty else found

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        place = _place(self._source, event.start_mark)
        kind = type(event).__name__
        if kind == "AliasEvent":
            known = self._anchors.get(event.anchor)
            if known is None:
                # Also an alias within what it names, which would have no end.
                place.fail("no anchor before this alias; put a text that begins with * in quotes")
            self._count(known.size, place)
            return known
        self._count(1, place)
        if event.tag not in _PLAIN_TAGS:
            place.fail(_NO_TAGS)
        if depth > _MOST_DEPTH:
            place.fail(f"more than {_MOST_DEPTH} levels")
        made: Node
        if kind == "ScalarEvent":
            made = Text(place, event.value, quoted=event.style is not None)
        elif kind == "SequenceStartEvent":
            items = tuple(self._children(events, depth))
            made = Items(place, items, 1 + sum(item.size for item in items))
        else:
            made = self._pairs(place, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = made
        return made

    def _children(self, events: Iterator[Any], depth: int) -> Iterator[Node]:
        for event in events:
            if type(event).__name__ in ("SequenceEndEvent", "MappingEndEvent"):
                return
            yield self._node(event, events, depth + 1)

    def _pairs(self, place: Place, events: Iterator[Any], depth: int) -> Pairs:
        found: dict[str, tuple[Text, Node]] = {}
        merged: dict[str, tuple[Text, Node]] = {}
        children = self._children(events, depth)
        for key in children:
            value = next(children)
            if not isinstance(key, Text):
                key.place.fail("a key is one word")
            if key.value == _MERGE:
                for each in value.items if isinstance(value, Items) else (value,):
                    if not isinstance(each, Pairs):
                        each.place.fail("<< takes in a mapping, or several")
                    for pair in each.pairs:
                        merged.setdefault(pair[0].value, pair)
                continue
            if key.value in found:
                first = found[key.value][0].place.line
                key.place.fail(f"{printable(key.value, 60)} is here already, on line {first}")
            found[key.value] = (key, value)
        pairs = tuple((merged | found).values())
        return Pairs(place, pairs, 1 + sum(1 + value.size for _, value in pairs))

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > _MOST_NODES:
            place.fail(f"more than {_MOST_NODES} nodes, with those that aliases repeat")
