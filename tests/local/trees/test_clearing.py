"""Deleting what is in a copy of a directory, and not in the directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from genvx.core.projects.manifest import DIRECTORY, FILE, Entry, Manifest
from genvx.core.projects.plan import Known
from genvx.errors import InvalidInput, StateError
from genvx.local.trees.clearing import require_place
from genvx.local.trees.landing import Landing
from genvx.local.trees.project import Gathered


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path / "home")}


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(name)
        else:
            path.mkdir()
    return root


def sync(source: Path, target: Path, environ, **options) -> list[bytes]:
    """Have a directory in another one, and nothing else; return what was deleted."""
    project = Gathered(str(source), **options).read(environ)
    gone: list[bytes] = []
    with Landing(str(target), environ) as landing:

        def choose(known: Known) -> list[bytes]:
            gone[:] = project.unwanted(landing.extra(project.manifest.names()))
            return gone

        landing.take(
            project.manifest, lambda wanted: (c for c, _ in project.contents(wanted)), Known({}),
            choose,
        )  # fmt: skip
    return gone


def test_what_the_directory_has_not_is_deleted_and_what_it_ignores_stays(tmp_path, environ):
    source = make(tmp_path / "source", "a", "d/b")
    (source / ".gitignore").write_text("build/\n*.log\n!keep.log\n")
    target = make(
        tmp_path / "target", "a", "old", "d/old", "e/f/old", "build/out", "d/x.log", "keep.log",
        ".git/config", "sub/.git/config", "empty/",
    )  # fmt: skip
    assert sync(source, target, environ) == [
        b"d/old", b"e/", b"e/f/", b"e/f/old", b"empty/", b"keep.log", b"old",
    ]  # fmt: skip
    files = (os.path.join(place, name) for place, _, names in os.walk(target) for name in names)
    left = {os.path.relpath(path, target) for path in files}
    assert left == {
        ".gitignore", "a", "d/b", "build/out", "d/x.log", ".git/config", "sub/.git/config",
    }  # fmt: skip
    gone = sync(source, target, environ, everything=True)
    assert gone == [b"build/", b"build/out", b"d/x.log"]


def test_our_own_reading_ignores_what_git_ignores(tmp_path, environ):
    source = make(tmp_path / "source", "a")
    (source / ".gitignore").write_text("/x\n*.log\nb/\nsub/deep\n!y.log\n")
    subprocess.run(["git", "init", "-q", str(source)], check=True)
    names = ["x", "y.log", "z.log", "b", "b/c", "sub/deep/e", "sub/x", "d/y.log"]
    asked = subprocess.run(
        ["git", "-C", str(source), "check-ignore", "--no-index", "--stdin"],
        input="\n".join(names), capture_output=True, text=True,
    )  # fmt: skip
    project = Gathered(str(source)).read(environ)
    listed = [os.fsencode(name) for name in names]
    kept = {os.fsdecode(each) for each in set(listed) - set(project.unwanted(listed))}
    assert kept == set(asked.stdout.split())


def test_a_link_is_deleted_and_what_it_leads_to_is_not(tmp_path, environ):
    outside = make(tmp_path / "outside", "precious")
    target = make(tmp_path / "target", "a")
    (target / "link").symlink_to(outside)
    (target / "file").symlink_to(outside / "precious")
    assert sync(make(tmp_path / "source", "a"), target, environ) == [b"file", b"link"]
    assert os.listdir(target) == ["a"]
    assert os.listdir(outside) == ["precious"]


def test_what_has_become_a_link_meanwhile_is_not_followed(tmp_path, environ):
    outside = make(tmp_path / "outside", "old")
    target = make(tmp_path / "target", "d/old")
    with Landing(str(target), environ) as landing:
        names = landing.extra({b"d": True})
        assert names == [b"d/old"]
        os.rename(target / "d", target / "e")
        (target / "d").symlink_to(outside)
        with pytest.raises(StateError, match="cannot write to"):
            landing.remove(names)
    assert (outside / "old").exists()


def test_a_file_takes_the_place_of_a_directory_only_if_that_may_be_deleted(tmp_path, environ):
    source, target = make(tmp_path / "source", "a"), make(tmp_path / "target", "a/b/c")
    project = Gathered(str(source)).read(environ)
    bodies = lambda wanted: (content for content, _ in project.contents(wanted))  # noqa: E731
    with Landing(str(target), environ) as landing, pytest.raises(StateError, match="directory"):
        landing.take(project.manifest, bodies)
    assert sync(source, target, environ) == [b"a/", b"a/b/", b"a/b/c"]
    assert (target / "a").read_text() == "a"
    # And the other way.
    assert sync(make(tmp_path / "other", "a/b"), target, environ) == [b"a"]
    assert (target / "a" / "b").read_text() == "a/b"


@pytest.mark.parametrize("place", ["home", "", "/"])
def test_nothing_is_deleted_where_a_home_is(tmp_path, environ, place):
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / place)
    for path in (tmp_path / place, tmp_path / "link"):
        with pytest.raises(InvalidInput, match="where your home is"):
            require_place(str(path), environ)
    require_place(str(tmp_path / "home" / "data"), environ)
    require_place(str(tmp_path / "home2"), environ)


def test_only_saying_what_would_be_done_writes_nothing(tmp_path, environ):
    manifest = Manifest([Entry(b"d", DIRECTORY, 0o755, 1), Entry(b"d/e", FILE, 0o644, 1)])
    with Landing(str(tmp_path / "new"), environ, only_say=True) as landing:
        assert landing.compare(manifest) == [0, 1]
        assert landing.extra({}) == []
    assert not (tmp_path / "new").exists()
    target = make(tmp_path / "target", "d/e", "old")
    before = os.stat(target / "d" / "e")
    with Landing(str(target), environ, only_say=True) as landing:
        assert landing.compare(manifest) == [1]
        assert landing.extra(manifest.names()) == [b"old"]
    assert os.stat(target / "d" / "e").st_mtime_ns == before.st_mtime_ns
    assert sorted(os.listdir(target)) == ["d", "old"]


def test_one_at_a_time_lands_in_a_directory(tmp_path, environ, monkeypatch):
    monkeypatch.setattr("genvx.local.trees.alone._ENDING", 0.0)
    with Landing(str(tmp_path / "here"), environ):
        second = Landing(str(tmp_path / "here"), environ)
        with pytest.raises(StateError, match="another genvx copies files into"), second:
            pass
    with Landing(str(tmp_path / "here"), environ):
        pass
