"""What a hostile peer may send: lists of files and contents, made without anything of genvx.

A list and contents are frames: a letter, the length, the length as sent, and the content.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

_BODY = b"#!/bin/sh\necho owned\n"
_SIZE = len(_BODY)


class Attack(NamedTuple):
    """What comes. list: its frame. contents: frames of the contents, if it gets that far. tree: the
    id that its sender says it has. pushed: whether it is one only where a tree comes by its id.
    """

    what: str
    list: bytes
    contents: bytes
    tree: str
    pushed: bool = False


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def frame(content: bytes, kind: bytes = b"R", length: int | None = None) -> bytes:
    sent = zlib.compress(content, 9) if kind == b"Z" else content
    return struct.pack(">cII", kind, len(content) if length is None else length, len(sent)) + sent


def plain(rows: Any) -> bytes:
    """A list as it is sent."""
    return json.dumps(rows, separators=(",", ":")).encode("ascii")


def tree_of(rows: list[list[Any]]) -> str:
    """The id that these lines have: times do not count, and neither do holes."""
    try:
        timeless = [[*row[:3], 0, *row[4:6]] for row in rows]
    except TypeError:
        return digest(b"")
    return digest(plain(timeless))


def file(name: str, content: bytes = _BODY, mode: int = 0o755) -> list[Any]:
    return [name, "f", mode, 10**18, len(content), digest(content)]


def directory(name: str) -> list[Any]:
    return [name, "d", 0o755, 10**18, 0, ""]


def link(name: str, target: str) -> list[Any]:
    return [name, "l", 0o777, 10**18, 0, target]


def _rows(what: str, *rows: list[Any]) -> Attack:
    return Attack(what, frame(plain(list(rows))), frame(_BODY) * 3, tree_of(list(rows)))


def _sorted(*rows: list[Any]) -> Attack:
    return _rows(f"{[row[0][:40] for row in rows]}", *sorted(rows))


_OUT = "../outside/owned"


def path_attacks(outside: str) -> Iterator[Attack]:
    """Names and links that lead to a directory outside, by its absolute path or by `..`."""
    names = (
        _OUT, f"d/../../{_OUT}", f"d/../{_OUT}", "..", ".", "", "/", f"{outside}/owned", "a//b",
        "d/./x", f"./{_OUT}", "d/", "/etc/owned", f"{_OUT}\0x", "x\0/../y", "n" * 256,
        "a/" * 2100 + "x", "d/..", "\ud800", "d/\x00",
    )  # fmt: skip
    for name in names:
        yield _sorted(directory("d"), file(name))
        yield _sorted(directory(name), directory("d"))
    targets = (
        outside, "..", "../outside", "d/../../outside", "d/../..", "./../outside", "//tmp", "/",
        "d//../../outside", "", "\0", "../" * 50 + "tmp", "e/../../outside",
    )  # fmt: skip
    for target in targets:
        yield _sorted(directory("d"), link("x", target))
        yield _rows(f"through a link to {target!r}", directory("d"), link("x", target), file("x/y"))
    yield _rows("through a link in the tree", directory("d"), link("x", "d"), file("x/y"))
    yield _rows("a file, and in it", file("x"), file("x/y"))
    yield _rows("twice", file("x"), file("x"))
    yield _rows("a file and a link", file("x"), link("x", outside))
    yield _rows("a link and a file", link("x", outside), file("x"))
    yield _rows("a link and a directory", link("x", "d"), directory("x"), file("x/y"))
    yield _sorted(link("s", "."), link("x", "s/s/../../outside"))
    yield _sorted(link("a", "b"), link("b", "../outside"))
    yield _sorted(directory("d"), link("d/up", ".."), link("x", "d/up/../outside"))
    yield _sorted(link("x", "x"))
    yield _sorted(link("x", "y"), link("y", "x"))
    yield _sorted(directory(".git"), directory(".git/hooks"), file(".git/hooks/post-checkout"))
    yield _sorted(directory(".GIT"), file(".GIT/config"))
    yield _sorted(file(".genvx-pull"), directory("z"), file(_OUT))
    for mode in (0o4755, 0o2755, 0o1777, -1, 1 << 40):
        yield _sorted(file("x", mode=mode))
    for kind in ("c", "b", "p", "s", "", "fd"):
        yield _rows(f"kind {kind!r}", ["x", kind, 0o644, 0, 0, ""])


def content_attacks() -> Iterator[Attack]:
    """Good names, and contents, lengths and lists that are none."""
    rows = [file("good")]
    good = plain(rows)
    tree, body = tree_of(rows), frame(_BODY)
    for size in (-1, 0, 1, _SIZE + 1, 9 << 20, 1 << 59, 1 << 62, 10**30):
        row = [*file("good")[:4], size, digest(_BODY)]
        yield _rows(f"a size of {size}", row)
    yield Attack("another content", frame(good), frame(b"x" * _SIZE), tree)
    yield Attack("a shorter content", frame(good), frame(_BODY[:-1]), tree)
    yield Attack("a longer content", frame(good), frame(_BODY + b"x"), tree)
    yield Attack("a packed content that grows", frame(good), frame(bytes(64 << 20), b"Z", 4), tree)
    yield Attack("a content that says it is huge", frame(good), body[:1] + b"\xff" * 8, tree)
    yield Attack("a content of another kind", frame(good), frame(_BODY, b"X"), tree)
    yield Attack("no zlib data", frame(good), frame(_BODY, b"R").replace(b"R", b"Z", 1), tree)
    yield Attack("another id", frame(good), body, digest(b"other"), True)
    yield Attack("no id", frame(good), body, "../" * 21 + "x", True)
    said = plain({"error": "X", "message": "\x1b]0;owned\x07"})
    yield Attack("a failure", frame(good), frame(said, b"E"), tree)
    yield Attack("a failure without end", frame(good), b"E" + b"\xff" * 8, tree)
    lists = (
        b"", b"[", b"{}", b"null", b"[[]]", b"[" * 100_000, b"[" + b"[]," * 500_000 + b"[]]",
        good[:-1], good + b"x", good * 2, b"\xff\xfe", b"[NaN]", good.replace(b"f", b"\x00"),
    )  # fmt: skip
    for each in lists:
        yield Attack(f"the list {each[:20]!r}", frame(each), body, digest(each))
    bomb = frame(b"[" + b"[]," * (8 << 20), b"Z")
    yield Attack("a list that grows to 24 MiB", bomb, body, tree)
    yield Attack("a list that says it is huge", b"R" + b"\xff" * 8, body, tree)
