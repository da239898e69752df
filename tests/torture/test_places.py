"""The places of mutants: found by name, wherever they are and however they are formatted."""

from __future__ import annotations

import pytest

from torture.places import Change, Sources, Stale

_MODULE = """
MOST = 3


class Store:
    def look(self, name):
        # It must be there.
        if (
            name  is None
        ):
            raise ValueError("no name")
        return [name]


def look():
    return MOST
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "store.py").write_text(_MODULE)
    (tmp_path / "other.py").write_text("def look(): return 1\nclass Other:\n    MOST = 4\n")
    return tmp_path


def changed(root, *change):
    sources = Sources(root)
    path = sources.file_of(change[0])
    scope: dict = {}
    exec(sources.changed(Change(*change), path.read_text()), scope)
    return scope


def test_a_method_is_changed_whatever_its_formatting(root):
    scope = changed(root, "Store.look", "name is None", "False")
    assert scope["Store"]().look(None) == [None]


def test_a_constant_is_changed(root):
    assert changed(root, "MOST", "3", "5")["look"]() == 5


def test_a_name_of_several_modules_is_told_apart_by_the_module(root):
    assert changed(root, "store:look", "MOST", "7")["look"]() == 7
    assert changed(root, "other:look", "1", "8")["look"]() == 8


@pytest.mark.parametrize(
    ("place", "old", "new", "why"),
    [
        ("look", "MOST", "1", "has it"),
        ("Store.gone", "name", "1", "no module has it"),
        ("other:Store.look", "name is None", "1", "no module has it"),
        ("Store.look", "name is 1", "1", "0 times"),
        ("Store.look", "name", "1", "4 times"),
        ("Store.look", "name is None", "(name is None)", "changes nothing"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(root, place, old, new, why):
    with pytest.raises(Stale, match=why):
        changed(root, place, old, new)
