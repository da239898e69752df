"""The figures of scripts/torture can fail: with a protection of genvx taken away, they do."""

from __future__ import annotations

import ast

import pytest

from tests.conftest import ROOT
from torture.figures import FIGURES
from torture.mutants import MUTANTS, bite, one_of_each_part
from torture.places import Sources


@pytest.mark.slow
@pytest.mark.needs("root", "namespaces", "openssh", "cc", "strace")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutant", one_of_each_part(), ids=lambda mutant: mutant.label)
def test_a_figure_sees_that_a_protection_is_missing(mutant, short_tmp):
    directory = short_tmp / "mutant"
    directory.mkdir()
    short_tmp.chmod(0o755)
    bitten = bite(mutant, directory)
    assert bitten.caught, bitten.output[-3000:]


def test_the_part_that_sees_a_mutant_is_one_of_its_figure():
    homes = {(figure.name, figure.home) for figure in FIGURES}
    assert all(not each.home or (each.figure, each.home) in homes for each in MUTANTS)


def test_every_figure_has_a_protection_that_it_misses():
    assert {mutant.figure for mutant in MUTANTS} == {figure.name for figure in FIGURES}


@pytest.fixture(scope="module")
def sources():
    return Sources(ROOT / "genvx")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.label)
def test_a_mutant_finds_its_places_and_changes_what_runs_there(mutant, sources):
    for path, text in mutant.texts(sources).items():
        compile(text, path, "exec")
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(path.read_text()))


def test_the_page_has_a_row_for_every_figure():
    page = (ROOT / "docs" / "reliability.md").read_text()
    for figure in FIGURES:
        assert f"| {figure.name} " in page
        assert figure.what in page
