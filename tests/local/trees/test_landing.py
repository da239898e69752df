"""Bringing a tree into a directory in which there may be something."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genvx.core.projects.manifest import DIRECTORY, FILE, LINK, Entry, Manifest
from genvx.errors import ProtocolError, StateError
from genvx.local.trees import alone
from genvx.local.trees.landing import Landing
from genvx.local.trees.project import Gathered, LocalProject
from tests.capabilities import USER_A
from tests.local.trees.trees import plant, seen


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path / "home")}


def gathered(directory: Path, environ: dict[str, str]) -> LocalProject:
    return Gathered(str(directory)).read(environ)


def bring(project: LocalProject, target: Path, environ: dict[str, str], cut: int | None = None):
    """Bring a tree into a directory; return how many bodies came, and how many files are new."""
    with Landing(str(target), environ) as landing:
        wanted = landing.lacking(project.manifest)
        for number, (content, _) in enumerate(project.contents(wanted)):
            if number == cut:
                return number, None
            landing.put(wanted[number], content)
        return len(wanted), landing.finish()


def test_all_arrives_and_the_second_time_nothing_is_moved(tmp_path, environ):
    plant(tmp_path / "made")
    project = gathered(tmp_path / "made", environ)
    target = tmp_path / "here"
    bodies, files = bring(project, target, environ)
    assert (bodies, files) == (len(project.manifest.bodies()), project.manifest.files)
    assert seen(target) == seen(tmp_path / "made")
    assert (target / "holes").stat().st_blocks * 512 < 12 << 20
    (target / "mine").write_text("stays")
    assert bring(project, target, environ) == (0, 0)
    (tmp_path / "made" / "run.sh").write_bytes(b"other")
    with open(tmp_path / "made" / "large", "ab") as file:
        file.write(b"more")
    changed = gathered(tmp_path / "made", environ)
    # The first pieces of the large one are here.
    assert bring(changed, target, environ) == (2, 2)
    (target / "mine").unlink()
    assert seen(target) == seen(tmp_path / "made")


def test_modes_and_times_of_what_is_here_are_put_right(tmp_path, environ):
    plant(tmp_path / "made")
    bring(gathered(tmp_path / "made", environ), tmp_path / "here", environ)
    (tmp_path / "made" / "run.sh").chmod(0o640)
    os.utime(tmp_path / "made" / "large", ns=(1, 2_000_000_001))
    assert bring(gathered(tmp_path / "made", environ), tmp_path / "here", environ) == (0, 0)
    assert seen(tmp_path / "here") == seen(tmp_path / "made")


def test_what_was_cut_goes_on(tmp_path, environ):
    plant(tmp_path / "made")
    project = gathered(tmp_path / "made", environ)
    total = len(project.manifest.bodies())
    assert bring(project, tmp_path / "here", environ, cut=5) == (5, None)
    assert bring(project, tmp_path / "here", environ)[0] == total - 5
    assert seen(tmp_path / "here") == seen(tmp_path / "made")


def test_half_a_content_is_asked_for_again(tmp_path, environ):
    plant(tmp_path / "made")
    project = gathered(tmp_path / "made", environ)
    bring(project, tmp_path / "here", environ, cut=5)
    largest = max((tmp_path / "here" / ".genvx-pull").iterdir(), key=lambda f: f.stat().st_size)
    os.truncate(largest, largest.stat().st_size - 1)
    assert bring(project, tmp_path / "here", environ)[0] == len(project.manifest.bodies()) - 4


@pytest.mark.parametrize("name", ["deep", "deep/d"])
def test_no_link_in_the_directory_is_followed(tmp_path, environ, name):
    plant(tmp_path / "made")
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "here" / name
    target.parent.mkdir(parents=True)
    target.symlink_to(outside)
    with pytest.raises(StateError, match="cannot write to "):
        bring(gathered(tmp_path / "made", environ), tmp_path / "here", environ)
    assert os.listdir(outside) == []


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.link(path.parents[2] / "other", path)])
def test_what_is_where_a_content_comes_first_is_not_written_to(tmp_path, environ, make):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").write_text("new")
    (tmp_path / "other").write_text("old")
    project = gathered(tmp_path / "made", environ)
    staged = tmp_path / "here" / ".genvx-pull" / project.manifest.bodies()[0].digest.hex()
    staged.parent.mkdir(parents=True)
    make(staged)
    bring(project, tmp_path / "here", environ)
    assert (tmp_path / "here" / "a").read_text() == "new"
    assert (tmp_path / "other").read_text() == "old"


def test_a_link_in_the_place_of_a_file_is_replaced_and_what_it_names_is_not(tmp_path, environ):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").write_text("new")
    (tmp_path / "here").mkdir()
    (tmp_path / "other").write_text("old")
    (tmp_path / "here" / "a").symlink_to("../other")
    bring(gathered(tmp_path / "made", environ), tmp_path / "here", environ)
    assert (tmp_path / "other").read_text() == "old"
    assert not (tmp_path / "here" / "a").is_symlink()
    assert (tmp_path / "here" / "a").read_text() == "new"


def test_a_directory_in_the_place_of_a_file_is_not_deleted(tmp_path, environ):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "a").write_text("new")
    (tmp_path / "here" / "a" / "mine").mkdir(parents=True)
    with pytest.raises(StateError, match="Is a directory"):
        bring(gathered(tmp_path / "made", environ), tmp_path / "here", environ)
    assert (tmp_path / "here" / "a" / "mine").is_dir()


def test_a_name_of_our_own_is_refused(tmp_path, environ):
    manifest = Manifest([Entry(b".genvx-pull", FILE, 0o644, 0)])
    with Landing(str(tmp_path / "here"), environ) as landing, pytest.raises(ProtocolError):
        landing.lacking(manifest)


@pytest.mark.needs("uids")
def test_contents_do_not_come_where_another_user_could_change_them(tmp_path, environ):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"a")
    project = gathered(tmp_path / "code", environ)
    stage = tmp_path / "here" / ".genvx-pull"
    stage.mkdir(parents=True)
    os.chown(stage, USER_A, USER_A)
    refused = pytest.raises(StateError, match="genvx-pull is another user's")
    with Landing(str(stage.parent), environ) as landing, refused:
        landing.lacking(project.manifest)


def test_a_link_that_a_later_tree_could_lead_out_is_refused(tmp_path, environ):
    def link(name: bytes, target: bytes) -> Entry:
        return Entry(name, LINK, 0o777, 0, target=target)

    place, up = Entry(b"d", DIRECTORY, 0o755, 0), link(b"d/x", b"e/../../y")
    deep = [Entry(name, DIRECTORY, 0o755, 0) for name in (b"d/f", b"d/f/g")]
    for entries in ([place, up], [place, *deep, up, link(b"d/e", b"f/g")]):
        manifest = Manifest(entries)  # it stays in this tree
        with Landing(str(tmp_path / "here"), environ) as landing, pytest.raises(ProtocolError):
            landing.lacking(manifest)
    manifest = Manifest([place, Entry(b"d/e", DIRECTORY, 0o755, 0), up])
    with Landing(str(tmp_path / "here"), environ) as landing:
        assert landing.lacking(manifest) == []
        landing.finish()
    with Landing(str(tmp_path / "here"), environ) as landing:
        landing.lacking(Manifest([place, link(b"d/e", b"../d")]))
        with pytest.raises(StateError, match="Is a directory"):
            landing.finish()


def test_two_landings_at_once_do_not_write_to_each_other(tmp_path, environ, monkeypatch):
    plant(tmp_path / "made")
    project = gathered(tmp_path / "made", environ)
    with Landing(str(tmp_path / "here"), environ) as first:
        wanted = first.lacking(project.manifest)
        monkeypatch.setattr(alone, "_ENDING", 0.0)
        with pytest.raises(StateError, match=r"another genvx copies files into .* at this moment"):
            bring(project, tmp_path / "here", environ)
        for index, (content, _) in zip(wanted, project.contents(wanted), strict=True):
            first.put(index, content)
        first.finish()
    assert seen(tmp_path / "here") == seen(tmp_path / "made")
    assert bring(project, tmp_path / "here", environ) == (0, 0)


def test_the_home_of_nobody_is_refused_and_not_made(environ):
    with pytest.raises(StateError, match=r"no user has the home ~nobody-such; \./~"):
        Landing("~nobody-such/data", environ)
    assert not os.path.exists("~nobody-such")


def test_a_file_in_the_place_of_the_directory_is_an_error_that_says_so(tmp_path, environ):
    (tmp_path / "here").touch()
    with pytest.raises(StateError, match=r"cannot write to .*/here: it is not a directory"):
        Landing(str(tmp_path / "here"), environ).__enter__()
