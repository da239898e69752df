"""Manifests: what they say survives, and what they may not say is refused."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genvx.core.projects.links import leads_out
from genvx.core.projects.manifest import (
    DIRECTORY,
    FILE,
    LINK,
    Entry,
    Manifest,
    digest_of,
    pieces,
)
from genvx.core.projects.stream import frame, read_frame
from genvx.core.wire.plain import Malformed, dumps
from genvx.errors import ProtocolError
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore

_parts = st.binary(min_size=1, max_size=20).filter(
    lambda part: part not in (b".", b"..", b".git") and not set(part) & {0, ord("/")}
)
_entries = st.dictionaries(
    _parts,
    st.tuples(
        st.sampled_from([FILE, DIRECTORY, LINK]),
        st.integers(0, 0o777),
        st.integers(-(10**18), 10**18),
        st.integers(0, 30 << 20),
        _parts,
    ),
    max_size=8,
)


def _made(found: dict[bytes, tuple[str, int, int, int, bytes]]) -> list[Entry]:
    made = []
    for name, (kind, mode, mtime, size, target) in found.items():
        if kind == LINK:
            made.append(Entry(name, kind, mode, mtime, target=target + b"/none"))
        elif kind == DIRECTORY:
            made.append(Entry(name, kind, mode, mtime))
            made.append(Entry(name + b"/below", FILE, mode, mtime))
        else:
            digests = tuple(digest_of(b"%d" % at) for at, _ in pieces(size))
            made.append(Entry(name, kind, mode, mtime, size, digests, sparse=bool(size % 2)))
    return made


@settings(deadline=None)
@given(_entries)
def test_any_tree_is_read_as_it_was_written(found):
    entries = [e for e in _made(found) if e.kind != LINK or e.target != e.name + b"/none"]
    manifest = Manifest(entries)
    assert Manifest.read(manifest.to_bytes()).entries == tuple(sorted(entries))
    later = [each._replace(mtime_ns=each.mtime_ns + 1) for each in entries]
    assert Manifest(later).tree == manifest.tree


@given(st.binary(max_size=100_000), st.booleans())
def test_a_frame_brings_what_was_put_into_it(data, packed):
    coming = io.BytesIO(b"".join(frame(data, packed=packed)))
    assert read_frame(coming.read, 100_000) == data


def test_a_frame_that_unpacks_to_more_than_it_says_is_refused():
    head, rest = frame(bytes(1 << 20), packed=True)
    wrong = head[:1] + (100).to_bytes(4, "big") + head[5:] + rest
    with pytest.raises(ProtocolError, match="as long as it says"):
        read_frame(io.BytesIO(wrong).read, 1 << 20)


HEX = digest_of(b"x").hex()
DIR, GOOD = ["d", "d", 0o755, 0, 0, ""], ["good", "f", 0o644, 0, 1, HEX]


def _file(name: str, *rest: object) -> list[object]:
    return [name, "f", *(rest or (0o644, 0, 1, HEX))]


def _link(name: str, target: object) -> list[object]:
    return [name, "l", 0o777, 0, 0, target]


ATTACKS: list[object] = [
    *[[_file(name)] for name in ("/etc/x", "../x", "d/../../x", ".", "..", "", "a//b", "a/")],
    *[[_file(name)] for name in ("a\0b", "./x", "n" * 256, "a/" * 2100 + "x", "\ud800")],
    [_file("d/x")],
    [_file("x"), _file("x/y")],
    [_file("x"), _file("x")],
    [_link("x", "/tmp"), _file("x/y")],
    [_link("d", "."), DIR, _file("d/y")],
    *[[_link("x", target)] for target in ("/etc/passwd", "..", "../x", "a/../../x", "", "a\0b")],
    [_link("s", "."), _link("x", "s/s/../../y")],
    [_link("x", "x")],
    [_link("a", "b"), _link("b", "../c")],
    [DIR, _link("d/x", "../../y")],
    [_link("x", "t" * 4096)],
    [_link("x", 7)],
    *[[_file("x", mode, 0, 1, HEX)] for mode in (0o4755, 0o2755, 0o1777, 0o100644, -1, 0.5, True)],
    *[[_file("x", 0o644, 0, size, HEX)] for size in (-1, 0, 9 << 20, 1 << 62, "1", None)],
    [_file("x", 0o644, 1 << 63, 1, HEX)],
    [_file("x", 0o644, 0, 1, "zz")],
    [_file("x", 0o644, 0, 1, HEX[:32])],
    [_file("x", 0o644, 0, 1, HEX), _file("y", 0o644, 0, 2, HEX)],
    *[[["x", kind, 0o644, 0, 0, ""]] for kind in ("c", "b", "p", "s", "", None)],
    [["x", "d", 0o755, 0, 5, HEX]],
    [[".git", "d", 0o755, 0, 0, ""]],
    [[".git", "d", 0o755, 0, 0, ""], _file(".git/config")],
    [DIR, ["d/.GIT", "d", 0o755, 0, 0, ""], _file("d/.GIT/config")],
    [[]],
    ["x"],
    [_file("x")[:5]],
    [[*_file("x"), 2]],
    [[*_file("x"), 1, 1]],
    [[_file("x")]],
    {"x": 1},
    None,
    [["x"] * 9],
]


@pytest.mark.parametrize("rows", ATTACKS, ids=range(len(ATTACKS)))
def test_a_hostile_list_of_files_writes_nothing(tmp_path, rows):
    data = dumps(rows)
    with pytest.raises(Malformed):
        Manifest.read(data).bodies()
    store = TreeStore(str(tmp_path / "trees"))
    with pytest.raises(ProtocolError) as refused:
        receive(store, HEX, data, lambda *asked: [])
    assert os.listdir(tmp_path) == []
    assert "\0" not in str(refused.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"]", b"[,]", b"[" * 5000, b"[[],[]]", b"[" + b"[]," * 1000 + b"[]]", b"\xff"],
)
def test_a_list_of_anything_else_is_refused_at_its_first_line(data):
    good = dumps([GOOD])
    for each in (data, good[:-1] + data, good + data):
        if each != good:
            with pytest.raises(Malformed):
                Manifest.read(each)


def test_a_list_that_ends_early_is_refused_wherever_it_ends():
    whole = dumps([DIR, GOOD, _link("d/x", "../good"), ['a\n"\\é\udc80', *GOOD[1:], 1]])
    assert len(Manifest.read(whole).entries) == 4
    for end in range(len(whole)):
        with pytest.raises(Malformed):
            Manifest.read(whole[:end])


def test_a_tree_of_another_name_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match="not those of the tree"):
        receive(TreeStore(str(tmp_path)), HEX, dumps([GOOD]), lambda *asked: [])


def test_a_content_of_another_digest_is_refused(tmp_path):
    data = dumps([GOOD])
    store, tree = TreeStore(str(tmp_path)), Manifest.read(data).tree
    with pytest.raises(ProtocolError, match="another digest"):
        receive(store, tree, data, lambda *asked: [b"y"])
    with pytest.raises(ProtocolError, match="not all contents"):
        receive(store, tree, data, lambda *asked: [])
    assert not store.has(tree)


def test_a_tree_that_is_too_deep_to_be_deleted_is_not_stored(tmp_path):
    names = ["/".join(["d"] * depth) for depth in range(1, 300)]
    manifest = Manifest([Entry(name.encode(), DIRECTORY, 0o755, 0) for name in names])
    with pytest.raises(ProtocolError, match="more than 200 directories deep"):
        receive(TreeStore(str(tmp_path)), manifest.tree, manifest.to_bytes(), lambda *asked: [])
    assert os.listdir(tmp_path) == []


def test_links_stay_in_their_tree_or_do_not():
    links = {b"s": b".", b"d/up": b"..", b"loop": b"loop2", b"loop2": b"loop"}
    assert not leads_out(b"x", b"d/up/y", links)
    assert leads_out(b"x", b"d/up/../y", links)
    assert leads_out(b"x", b"s/s/s/../y", links)
    assert leads_out(b"loop", b"loop2", links)
    assert not leads_out(b"a/b", b"../.lock -> nowhere", links)
