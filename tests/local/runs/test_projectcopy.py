"""The copy of a project that a run gets."""

from __future__ import annotations

import os

import pytest

from genvx.core.runs.runstate import Failed, Step, Stopped, StopReason
from genvx.local.runs import projectcopy
from genvx.local.runs.clock import now
from genvx.local.runs.projectcopy import give_copy
from genvx.local.runs.record import RunDirectory
from genvx.local.trees.keeping import keep
from genvx.local.trees.project import Gathered
from genvx.local.trees.store import TreeStore, trees_root


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "code").mkdir()
    for number in range(20):
        (tmp_path / "code" / str(number)).write_bytes(b"x" * number)
    environ = {"HOME": str(tmp_path / "home")}
    project = Gathered(str(tmp_path / "code")).read(environ)
    keep(environ, project, lambda done, total: None)
    return TreeStore(trees_root(environ)).open(project.recorded.tree)


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "abcd1234"
    path.mkdir()
    with RunDirectory(str(path), "abcd1234", os.open(path, os.O_RDONLY), deleted=False) as found:
        yield found


def test_a_run_that_is_stopped_gets_no_more_of_its_copy(tree, directory, tmp_path, monkeypatch):
    monkeypatch.setattr(projectcopy, "_LONG", 0.0)
    monkeypatch.setattr(projectcopy, "_NEWS", 0.0)
    stopped = Stopped(now(), StopReason.ASKED, 0)
    told = []

    def report(state, takes_long):
        told.append((state.step, takes_long))
        return stopped if len(told) == 3 else None

    assert give_copy(tree, directory, report, lambda line: None) is stopped
    assert told == [(Step.CODE, False), (Step.CODE, True), (Step.CODE, True)]
    assert len(os.listdir(tmp_path / "abcd1234" / "work")) < 20


def test_a_copy_that_fails_leaves_nothing_and_says_why(tree, directory, tmp_path):
    (tmp_path / "abcd1234" / "work" / "7").mkdir(parents=True)
    said = []
    failed = give_copy(tree, directory, lambda state, takes_long: None, said.append)
    assert isinstance(failed, Failed)
    assert (failed.step, said) == (Step.CODE, [failed.why])
    assert failed.why.endswith("abcd1234: File exists")
    assert not (tmp_path / "abcd1234" / "work").exists()
