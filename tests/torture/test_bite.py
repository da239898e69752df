"""The figures of scripts/torture can fail: with a protection of genvx taken away, they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture.figures import FIGURES
from torture.mutants import MUTANTS, bite


@pytest.mark.slow
@pytest.mark.needs("root", "namespaces", "openssh", "cc", "strace")
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.label)
def test_a_figure_sees_that_a_protection_is_missing(mutant, short_tmp):
    directory = short_tmp / "mutant"
    directory.mkdir()
    short_tmp.chmod(0o755)
    bitten = bite(mutant, directory)
    assert bitten.caught, bitten.output[-3000:]


def test_every_figure_has_a_protection_that_it_misses():
    assert {mutant.figure for mutant in MUTANTS} == {figure.name for figure in FIGURES}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.label)
def test_what_a_mutant_changes_is_there(mutant):
    root = Path(__file__).parent.parent.parent
    for file, old, new in mutant.edits:
        assert (root / file).read_text().count(old) == 1
        assert old != new


def test_the_page_has_a_row_for_every_figure():
    page = (Path(__file__).parent.parent.parent / "docs" / "reliability.md").read_text()
    for figure in FIGURES:
        assert f"| {figure.name} " in page
        assert figure.what in page
