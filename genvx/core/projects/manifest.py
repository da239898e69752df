"""What a tree of files consists of: their names, modes, times and contents, and the id of it all.

A manifest of unknown origin is checked as a whole when it is read. After that its names are
relative, each is below a directory of the same manifest, and no link leads out of it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from genvx.core.projects.links import leads_out
from genvx.core.text import printable
from genvx.core.wire.plain import Malformed, dumps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAGE = b".genvx-pull"
"""Where a directory keeps what has come of a transfer; it never travels itself."""

FILE, DIRECTORY, LINK = "f", "d", "l"
KINDS = (FILE, DIRECTORY, LINK)

# A file of more than WHOLE bytes is sent in pieces, so that only those go that have changed.
WHOLE, PIECE = 8 << 20, 4 << 20
DIGEST_BYTES = 32
MOST_MANIFEST = 256 << 20
MOST_ENTRIES = 1_000_000
# Directories in directories of a tree that is stored: far fewer than Python's stack has room for.
DEEPEST = 200
_MOST_SIZE = 1 << 60
_MOST_TIME = 1 << 62
_LONGEST_NAME, _LONGEST_PATH = 255, 4095
# A line as `dumps` writes it, with what stands behind it: name, kind, mode, time, size, digests or
# target, and whether it is sparse.
_TEXT = rb'"([ !#-\[\]-~]*(?:\\[ -~][ !#-\[\]-~]*)*)"'
_ROW = re.compile(
    rb"\[" + _TEXT + rb',"([fdl])",(\d{1,3}),(-?\d{1,19}),(\d{1,19}),' + _TEXT + rb"(,1)?\][,\]]"
)
_NO_NAMES = frozenset((b"", b".", b".."))


class Entry(NamedTuple):
    """A file, directory or symbolic link of a tree.

    name: its path in the tree. mode: its permission bits. digests: of a file, the BLAKE2b-256 of
    each piece. target: of a link. sparse: whether the file has holes.
    """

    name: bytes
    kind: str
    mode: int
    mtime_ns: int
    size: int = 0
    digests: tuple[bytes, ...] = ()
    target: bytes = b""
    sparse: bool = False


class Body(NamedTuple):
    """Content that is sent once. places: the entries that have it, by index, and where in them."""

    digest: bytes
    size: int
    places: list[tuple[int, int]]


def digest_of(content: bytes) -> bytes:
    """The digest of a piece of a file."""
    # Imported here: it loads OpenSSL, and most who name the kinds of files hash nothing.
    from hashlib import blake2b

    return blake2b(content, digest_size=DIGEST_BYTES).digest()


def pieces(size: int) -> list[tuple[int, int]]:
    """The pieces of a file of this size: the offset and the length of each."""
    if size <= WHOLE:
        return [(0, size)] if size else []
    return [(at, min(PIECE, size - at)) for at in range(0, size, PIECE)]


def count_of_pieces(size: int) -> int:
    """How many pieces a file of this size has."""
    return -(-size // PIECE) if size > WHOLE else int(size > 0)


def digests_of(text: str) -> tuple[bytes, ...]:
    """The digests that these hex digits are. Raises ValueError if they are none."""
    data = bytes.fromhex(text)
    if len(data) == DIGEST_BYTES:
        return (data,)
    return tuple(data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES))


class Manifest:
    """The entries of a tree, ordered by name.

    Raises:
        Malformed: they are no tree that may be written here.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(sorted(entries))
        if len(self.entries) > MOST_ENTRIES:
            raise Malformed(f"more than {MOST_ENTRIES} files")
        _check(self.entries)
        self._bodies: Optional[list[Body]] = None

    @property
    def size(self) -> int:
        """The bytes of all files together."""
        return sum(each.size for each in self.entries)

    @property
    def files(self) -> int:
        """How many entries are no directories."""
        return sum(each.kind != DIRECTORY for each in self.entries)

    def names(self) -> dict[bytes, bool]:
        """The names of all entries, and whether each is a directory."""
        return {each.name: each.kind == DIRECTORY for each in self.entries}

    @property
    def tree(self) -> str:
        """The id of the tree, 64 hex digits: the same for the same names, modes and contents.

        Times do not count: a checkout that only touched its files has the same id.
        """
        rows = [
            [text_of(each.name), each.kind, each.mode, 0, each.size, _content(each)]
            for each in self.entries
        ]
        return digest_of(dumps(rows)).hex()

    def bodies(self) -> list[Body]:
        """The different contents, in the order in which they first occur."""
        if self._bodies is None:
            self._bodies = self._find_bodies()
        return self._bodies

    def _find_bodies(self) -> list[Body]:
        found: dict[bytes, Body] = {}
        for index, entry in enumerate(self.entries):
            for digest, (at, length) in zip(entry.digests, pieces(entry.size)):
                body = found.get(digest)
                if body is None:
                    body = found[digest] = Body(digest, length, [])
                elif body.size != length:
                    raise Malformed("one content has two sizes")
                body.places.append((index, at))
        return list(found.values())

    def to_bytes(self) -> bytes:
        """The manifest as it is sent and stored."""
        return dumps([_row(each) for each in self.entries])

    @classmethod
    def read(cls, data: bytes) -> Manifest:
        """Read a manifest of unknown origin.

        Raises:
            Malformed: it is none, or no tree that may be written here.
        """
        return cls(_entries(data))


def text_of(name: bytes) -> str:
    """A name as text, from which `bytes_of` gets it back; not for the eyes of people."""
    return name.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The name that a text of `text_of` stands for. Raises Malformed."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Malformed("a name is no text") from None


def shown_name(name: bytes) -> str:
    """A name for people, without characters that change a terminal."""
    return printable(name.decode("utf-8", "replace"), 200)


def _row(entry: Entry) -> list[Any]:
    row: list[Any] = [text_of(entry.name), entry.kind, entry.mode, entry.mtime_ns]
    return [*row, entry.size, _content(entry), *([1] if entry.sparse else [])]


def _content(entry: Entry) -> str:
    """What a row says of the content: the target of a link, or digests."""
    if entry.kind == LINK:
        return text_of(entry.target)
    return "".join([each.hex() for each in entry.digests])


def _entries(data: bytes) -> Iterator[Entry]:
    """The entries of a manifest of unknown origin.

    Line by line, each by the one form that it has: a JSON parser would make objects of everything
    before anything is looked at, and a few MiB can be millions of lists.
    """
    if data == b"[]":
        return
    at = 1
    if not data.startswith(b"["):
        raise Malformed("the list of files is none")
    for _ in range(MOST_ENTRIES):
        row = _ROW.match(data, at)
        if row is None:
            raise Malformed("a line of the list of files is not one")
        yield _entry(*row.groups())
        at = row.end()
        if data[at - 1 : at] == b"]":
            break
    else:
        raise Malformed(f"more than {MOST_ENTRIES} files")
    if at != len(data):
        raise Malformed("the list of files goes on behind its end")


def _entry(
    name: bytes,
    kind: bytes,
    mode: bytes,
    mtime_ns: bytes,
    size: bytes,
    content: bytes,
    sparse: Optional[bytes],
) -> Entry:
    digests: tuple[bytes, ...] = ()
    target = b""
    letter = kind.decode("ascii")
    if letter == LINK:
        target = _unquoted(content)
    else:
        try:
            digests = digests_of(content.decode("ascii"))
        except ValueError:
            raise Malformed("a digest of a file is none") from None
    numbers = int(mode), int(mtime_ns), int(size)
    return Entry(_unquoted(name), letter, *numbers, digests, target, sparse is not None)


def _unquoted(text: bytes) -> bytes:
    """The name that stands between quotes in JSON."""
    if b"\\" not in text:
        return text
    try:
        return bytes_of(json.loads(b'"%b"' % text))
    except ValueError:
        raise Malformed("a name is no text") from None


def _check(entries: tuple[Entry, ...]) -> None:
    kinds: dict[bytes, str] = {}
    for entry in entries:
        _check_entry(entry)
        parent = entry.name.rpartition(b"/")[0]
        # So nothing is written through a link, or into a directory that is not of this tree.
        if parent and kinds.get(parent) != DIRECTORY:
            raise Malformed(f"{shown_name(entry.name)} is in no directory of the list")
        if entry.name in kinds:
            raise Malformed(f"{shown_name(entry.name)} is listed twice")
        kinds[entry.name] = entry.kind
    links = {each.name: each.target for each in entries if each.kind == LINK}
    for name, target in links.items():
        if leads_out(name, target, links):
            raise Malformed(f"the link {shown_name(name)} leads out of the tree")


def _check_entry(entry: Entry) -> None:
    why = fault_of(entry)
    if why is not None:
        raise Malformed(f"{shown_name(entry.name)}: {why}")


def fault_of(entry: Entry) -> Optional[str]:
    """Why an entry can be in no tree, by itself; None if it can."""
    parts = entry.name.split(b"/")
    if not entry.name or len(entry.name) > _LONGEST_PATH or b"\0" in entry.name:
        return "no such name can be"
    if not _NO_NAMES.isdisjoint(parts) or len(max(parts, key=len)) > _LONGEST_NAME:
        return "no such name can be in a tree"
    # In any case: some file systems have no difference between them.
    if b".git" in entry.name.lower().split(b"/"):
        return "the directory of git never travels"
    if entry.kind not in KINDS:
        return "neither a file, nor a directory, nor a link"
    # Without those of setuid, setgid and sticky.
    if not 0 <= entry.mode <= 0o777:
        return "no such mode is sent"
    if not -_MOST_TIME < entry.mtime_ns < _MOST_TIME:
        return "no such time can be"
    if entry.kind != FILE and (entry.size or entry.digests or entry.sparse):
        return "only files have contents"
    if not 0 <= entry.size < _MOST_SIZE:
        return "no such size can be"
    # Counted before the pieces are listed: a hostile size would make a list without end.
    if entry.kind == FILE:
        if len(entry.digests) != count_of_pieces(entry.size):
            return "its digests are not those of its size"
        if entry.digests and len(entry.digests[-1]) != DIGEST_BYTES:
            return "a digest is too short"
    if entry.kind == LINK and (
        not entry.target or len(entry.target) > _LONGEST_PATH or b"\0" in entry.target
    ):
        return "no such link can be"
    return None
