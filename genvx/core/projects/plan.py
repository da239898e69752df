"""What a directory has of a tree, as the two ends tell each other; and names that are listed.

In a list of names, those of directories end in a slash.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from genvx.core.projects.manifest import (
    DIRECTORY,
    FILE,
    MOST_ENTRIES,
    Entry,
    bytes_of,
    fault_of,
    shown_name,
    text_of,
)
from genvx.core.wire.plain import Malformed, dumps
from genvx.core.wire.treeoperations import Lacking, indices_of, lacking_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genvx.core.projects.manifest import Manifest


class Plan(NamedTuple):
    """What a host will do to a directory. changed: the entries that are not there as they should
    be, lacking: the bodies that are to be sent, by their indices. extra: names that are there and
    not in the tree.
    """

    changed: tuple[int, ...]
    lacking: tuple[int, ...]
    extra: tuple[bytes, ...] = ()

    def to_bytes(self, manifest: Manifest) -> bytes:
        """The plan as it is sent, for a tree."""
        return dumps(
            {
                "changed": lacking_of(self.changed, len(manifest.entries)).bits,
                "lacking": lacking_of(self.lacking, len(manifest.bodies())).bits,
                "extra": [text_of(each) for each in self.extra],
            }
        )

    @classmethod
    def read(cls, data: bytes, manifest: Manifest) -> Plan:
        """Read a plan for a tree. Raises Malformed."""
        plain = _loads(data)
        if not isinstance(plain, dict):
            raise Malformed("the plan is not an object")
        bits = (plain.get("changed"), plain.get("lacking"))
        if not all(isinstance(each, str) for each in bits):
            raise Malformed("the plan names no files")
        counts = (len(manifest.entries), len(manifest.bodies()))
        changed, lacking = (
            tuple(indices_of(Lacking(str(each)), count)) for each, count in zip(bits, counts)
        )
        return cls(changed, lacking, _names(plain.get("extra")))


class Known(NamedTuple):
    """The names that a run has, all of them. unknown: the directories that could not be read."""

    names: Mapping[bytes, bool]
    unknown: tuple[bytes, ...] = ()

    def spares(self, name: bytes) -> bool:
        """Whether a name, which is not among those known, may be one that the run has."""
        return any(name.startswith(each + b"/") for each in self.unknown)

    def to_bytes(self) -> bytes:
        """These names as they are sent."""
        marked = (name + b"/" if directory else name for name, directory in self.names.items())
        return dumps([list(map(text_of, marked)), list(map(text_of, self.unknown))])

    @classmethod
    def read(cls, data: bytes) -> Known:
        """Read such names. Raises Malformed."""
        plain = _loads(data)
        if not isinstance(plain, list) or len(plain) != 2:
            raise Malformed("the names of the run's files are no list")
        return cls(named(_names(plain[0])), _names(plain[1]))


class Landed(NamedTuple):
    """What became of a directory, or would: how many files and links are new or changed, how many
    were deleted, and how many bytes of content have come. left_out: what was not copied, in words.
    """

    changed: int
    deleted: int = 0
    size: int = 0
    left_out: tuple[str, ...] = ()


def names_to_bytes(names: Iterable[bytes]) -> bytes:
    """A list of names as it is sent."""
    return dumps([text_of(each) for each in names])


def read_names(data: bytes) -> tuple[bytes, ...]:
    """Read a list of names. Raises Malformed."""
    return _names(_loads(data))


def named(names: Iterable[bytes]) -> dict[bytes, bool]:
    """Listed names without their slashes, and whether each is that of a directory."""
    return {each.rstrip(b"/"): each.endswith(b"/") for each in names}


def names_of(texts: Iterable[str]) -> tuple[bytes, ...]:
    """The names that texts of `text_of` stand for. Raises Malformed: one can be in no tree."""
    return _names(list(texts))


def _names(plain: Any) -> tuple[bytes, ...]:
    if not isinstance(plain, list) or len(plain) > MOST_ENTRIES:
        raise Malformed("the names are no list")
    if not all(isinstance(each, str) for each in plain):
        raise Malformed("a name is no text")
    names = tuple(map(bytes_of, plain))
    for name in names:
        directory = name.endswith(b"/")
        entry = Entry(name[:-1] if directory else name, DIRECTORY if directory else FILE, 0, 0)
        if fault_of(entry) is not None:
            raise Malformed(f"{shown_name(name)}: no such name can be in a tree")
    return names


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise Malformed("the names are not JSON") from None
