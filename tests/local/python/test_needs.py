"""What travels of a project for its Python: all that is installed, and nothing else."""

from __future__ import annotations

import os
import stat

import pytest

from genvx.errors import InvalidInput
from genvx.local.python.needs import needs_of
from genvx.local.python.travelling import python_for
from genvx.local.trees.keeping import keep
from genvx.local.trees.project import Gathered
from genvx.local.trees.store import TreeStore, trees_root
from tests.local.python.wheels import wheel


@pytest.fixture
def code(tmp_path):
    (tmp_path / "code" / "lib").mkdir(parents=True)
    (tmp_path / "code" / "lib" / "pyproject.toml").write_text("[project]\nname = 'lib'\n")
    (tmp_path / "code" / "train.py").write_text("import numpy\n")
    return tmp_path / "code"


@pytest.fixture
def needs(code, tmp_path):
    environ = {"HOME": str(tmp_path / "home"), "PATH": "/nowhere"}

    def find(**more):
        return needs_of(Gathered(str(code)).read(environ), environ, **more)

    return find


def sent(needs):
    return {each.name.decode(): each.size for each in needs.tree.manifest.entries if each.digests}


def test_a_project_without_requirements_needs_nothing(code, needs):
    assert needs() is None
    (code / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    assert needs() is None
    (code / "requirements.txt").write_text("# nothing yet\n")
    assert needs() is None
    with pytest.raises(InvalidInput, match="--extra is for"):
        needs(extras=["gpu"])


def test_included_files_become_one_and_the_rest_of_the_project_changes_nothing(code, needs):
    (code / "sub").mkdir()
    (code / "requirements.txt").write_text("-r sub/base.txt\n-c limits.txt\nb\n")
    (code / "sub" / "base.txt").write_text("a\n-r ../sub/more.txt\n")
    (code / "sub" / "more.txt").write_text("c\n")
    (code / "limits.txt").write_text("a<2\n")
    first = needs()
    assert (first.source, sent(first)) == (
        "requirements.txt",
        {"requirements.txt": len("a\nc\nb\n"), "constraints.txt": len("a<2\n")},
    )
    (code / "train.py").write_text("changed\n")
    assert needs().tree.recorded.tree == first.tree.recorded.tree
    (code / "sub" / "more.txt").write_text("c>1\n")
    assert needs().tree.recorded.tree != first.tree.recorded.tree


def test_a_directory_that_is_installed_travels_and_wheels_do(code, needs, tmp_path):
    (code / "requirements.txt").write_text("-e ./lib[x]\nsome\n")
    wheel(tmp_path / "wheels", "some", "")
    (tmp_path / "wheels" / "notes.txt").write_text("no package")
    found = needs(wheels=str(tmp_path / "wheels"))
    assert (found.source, found.offline) == ("requirements.txt, 1 wheel", True)
    environ = {"HOME": str(tmp_path / "there")}
    keep(environ, found.tree, lambda done, total: None)
    with TreeStore(trees_root(environ)).open(found.tree.recorded.tree) as tree:
        place = f"/proc/self/fd/{tree.files}"
        with open(f"{place}/requirements.txt") as file:
            assert file.read() == "./project/lib[x]\nsome\n"
        assert sorted(os.listdir(f"{place}/wheels")) == ["some-1.0-py3-none-any.whl"]
        assert os.listdir(f"{place}/project/lib") == ["pyproject.toml"]
        assert stat.S_ISREG(os.stat(f"{place}/wheels/some-1.0-py3-none-any.whl").st_mode)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-r gone.txt", "gone.txt is named in the requirements, and is no file of the project"),
        ("-r ../secret.txt", "../secret.txt, which is not in the project"),
        ("-r requirements.txt", "includes itself"),
        ("./gone", "./gone|gone, which is not in the project"),
        ("../above", "which is not in the project"),
        ("-e .\x1b[2J", "which is not in the project"),
    ],
)
def test_what_is_not_in_the_project_is_refused_by_name(code, needs, text, why):
    (code.parent / "secret.txt").write_text("x")
    (code / "requirements.txt").write_text(f"{text}\n")
    with pytest.raises(InvalidInput, match=why) as refused:
        needs()
    assert str(refused.value).isprintable()


def test_a_lock_file_comes_first_and_needs_uv_here(code, needs):
    (code / "requirements.txt").write_text("a\n")
    (code / "pylock.toml").write_text(
        "lock-version = '1.0'\n[[packages]]\nname = 'b'\nversion = '1'\n"
    )
    assert needs().source == "pylock.toml"
    (code / "uv.lock").write_text("version = 1\n")
    with pytest.raises(InvalidInput, match="is read by uv, which is not installed here"):
        needs()


def test_a_wheel_of_pip_travels_too(code, tmp_path):
    (code / "requirements.txt").write_text("a\n")
    environ = {"HOME": str(tmp_path / "home")}
    python, trees = python_for(Gathered(str(code)).read(environ), environ)
    assert [python.needs, python.pip] == [tree.recorded.tree for tree in trees]
    (entry,) = trees[1].manifest.entries
    assert entry.name.startswith(b"pip-")
