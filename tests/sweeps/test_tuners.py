"""Tuners: what they ask, that they go on after a restart, and their names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.nnispace import space_of_nni
from genvx.core.sweeps.outcome import Cancelled, Completed, Failed, Pruned
from genvx.core.sweeps.space import Branch, Choice, Normal, SearchSpace, Uniform, Whole
from genvx.errors import InvalidInput
from genvx.sweeps.tuners.names import tuner_of
from genvx.sweeps.tuners.own import key_of
from tests.conftest import ROOT

EVERY = SearchSpace(
    (
        Choice(
            "a",
            (1, "x", None, [1, 2], Branch("b", (Uniform("q", 0, 1), Normal("z", 0, 1, 0.25)))),
        ),
        Uniform("lr", 1e-5, 1, None, True),
        Uniform("d", 2, 10, 5),
        Uniform("ql", 1, 1000, 7, True),
        Whole("n", 1, 100, True),
        Whole("s", 3, 20, False, 4),
        Normal("m", 0, 1),
        Normal("ln", 0, 1, None, True),
        Normal("qn", 0, 1, 0.5),
    )
)
SMALL = SearchSpace((Choice("a", (1, 1.0, True, "1")), Whole("b", 1, 3)))


def made(name, space=EVERY, goal=Goal.MAXIMIZE, seed=7, **more):
    return tuner_of(name, space, goal, seed, **more).tuner


def ending(number, parameters):
    score = -abs(parameters["n"] - 30) - abs(parameters["m"])
    others = [Completed(score), Completed(score), Completed(), Failed("x"), Cancelled()]
    return others[number % 5] if number % 7 else Pruned(0, score)


@pytest.mark.parametrize("name", ["random", "grid", "tpe", "evolution"])
def test_a_tuner_that_is_made_again_of_a_journal_goes_on_as_the_first(name):
    """While some trials still run, and others have ended in each way."""
    first = made(name, pruner="median")
    journal, running = [], []

    def note(act, *arguments):
        journal.append((act, arguments))
        return getattr(first, act)(*arguments)

    for number in range(25):
        parameters = first.ask(number)
        journal.append(("adopt", (number, parameters)))
        note("reported", number, 0, float(number))
        running.append((number, parameters))
        if len(running) > 3:
            ended, of = running.pop(0)
            note("tell", ended, ending(ended, of))
    second = made(name, pruner="median")
    for act, arguments in journal:
        getattr(second, act)(*arguments)
    for number in range(25, 29):
        assert second.ask(number) == first.ask(number)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_the_seed_decides(name):
    assert made(name).ask(0) == made(name).ask(0)
    assert made(name).ask(0) != made(name, seed=8).ask(0)
    assert made(name).ask(0) != made(name).ask(1)


@pytest.mark.parametrize("name", ["random", "grid", "tpe"])
def test_a_finite_space_is_asked_whole_and_nothing_twice(name):
    tuner = made(name, SMALL)
    found = []
    for number in range(12):
        found.append(tuner.ask(number))
        tuner.tell(number, Completed(1.0))
    assert len({key_of(each) for each in found}) == 12
    assert tuner.ask(12) is None


def test_a_finite_space_is_also_used_up_by_what_was_adopted():
    for name in ("random", "grid"):
        tuner = made(name, SearchSpace((Whole("n", 1, 2),)))
        tuner.adopt(0, {"n": 1})
        assert tuner.ask(1) == {"n": 2}
        assert tuner.ask(2) is None


def test_without_parameters_trials_have_no_end():
    tuner = made("random", SearchSpace())
    assert [tuner.ask(number) for number in range(3)] == [{}, {}, {}]


@pytest.mark.parametrize("goal", Goal)
def test_tpe_learns_which_values_are_good(goal):
    space = SearchSpace((Uniform("x", 0, 100), Normal("z", 0, 1), Uniform("q", 0, 10, 2.5)))
    tuner = made("tpe", space, goal)
    sign = 1 if goal is Goal.MAXIMIZE else -1
    found = []
    for number in range(60):
        parameters = tuner.ask(number)
        found.append(parameters["x"])
        tuner.tell(number, Completed(-sign * abs(parameters["x"] - 80) / 10))
    assert sum(abs(x - 80) for x in found[-20:]) < sum(abs(x - 80) for x in found[:20]) / 2


def test_batch_asks_what_it_is_given():
    rows = [{"lr": 0.1, "n": 1}, {"lr": 0.2}]
    space = space_of_nni({"combine_params": {"_type": "choice", "_value": rows}}, batch=True)
    tuner = made("Batch", space)
    tuner.adopt(0, rows[0])
    assert [tuner.ask(1), tuner.ask(2)] == [rows[1], None]
    with pytest.raises(InvalidInput, match="batch needs a space of one choice"):
        made("batch")


def test_what_is_not_of_the_space_is_not_adopted():
    good = made("random").ask(0)
    for wrong in (
        {**good, "n": 101},
        {**good, "n": True},
        {**good, "lr": "x"},
        {**good, "a": 2},
        {**good, "a": {"_name": "c"}},
        {**good, "more": 1},
        {name: each for name, each in good.items() if name != "d"},
    ):
        with pytest.raises(InvalidInput, match=r"search space|missing"):
            made("tpe").adopt(0, wrong)


@pytest.mark.parametrize(
    ("name", "options", "notes"),
    [
        ("TPE", {}, []),
        ("GridSearch", {}, []),
        ("Anneal", {}, ["Anneal: tpe is used in its place"]),
        ("SMAC", {"config_dedup": True}, ["SMAC: tpe is used in its place", "config_dedup has no"]),
        ("MetisTuner", {"cold_start_num": 5}, ["Metis: tpe is used in its place"]),
        ("DNGOTuner", {}, ["DNGO: tpe is used in its place"]),
        ("Evolution", {"population_size": 9}, ["Evolution: Optuna's NSGA-II is used"]),
        ("Hyperband", {"R": 60, "eta": 3}, ["random with the pruner asha is", "R has no effect"]),
        (
            "bohb",
            {"min_budget": 1, "max_budget": 9},
            ["tpe with the pruner asha", "max_budget has"],
        ),
        ("tpe", {"tpe_args": {"n_startup_jobs": 3, "gamma": 1}}, ["gamma has no effect"]),
        ("tpe", {"startup": "3", "multivariate": "true"}, []),
    ],
)
def test_the_names_of_nni_mean_the_same_or_the_nearest_and_that_is_said(name, options, notes):
    found = tuner_of(name, EVERY, Goal.MINIMIZE, 1, options).notes
    assert len(found) == len(notes)
    for line, words in zip(found, notes, strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "hyperopt"}, "no tuner 'hyperopt'; tuners are tpe, random, grid, batch"),
        ({"name": "evolutoin"}, "did you mean evolution?"),
        ({"name": "PBT"}, "each other's checkpoints"),
        ({"name": "PPOTuner"}, "neural architecture search"),
        ({"name": "median"}, "no tuner 'median'"),
        ({"name": "tpe", "options": {"startp": 1}}, "did you mean startup?"),
        (
            {"name": "tpe", "options": {"startup": 0}},
            "startup is a whole number from 1 on, not '0'",
        ),
        ({"name": "tpe", "options": {"multivariate": 3}}, "multivariate is true or false"),
        ({"name": "tpe", "options": {"tpe_args": 3}}, "tpe_args are names with values"),
        ({"name": "grid", "options": {"x": 1}}, "grid has no options"),
        ({"name": "tpe", "seed": -1}, "a seed is a whole number"),
        ({"name": "tpe", "pruner": "hyperband"}, "no pruner 'hyperband'; pruners are median, asha"),
        ({"name": "BOHB", "pruner": "median"}, "BOHB ends trials by itself"),
        ({"name": "tpe", "pruner_options": {"trials": 1}}, "but no pruner"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(arguments, words):
    with pytest.raises(InvalidInput) as caught:
        tuner_of(**{"space": EVERY, "goal": Goal.MAXIMIZE, "seed": 1, **arguments})
    assert words in str(caught.value)


def test_without_optuna_a_line_says_what_to_install_and_the_others_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert made("random").ask(0)
    with pytest.raises(
        InvalidInput, match=r"the tuner tpe needs Optuna: pip install 'genvx\[sweep\]'"
    ):
        made("tpe")


def test_a_missing_package_of_a_sampler_is_missing_before_anything_runs(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="cmaes needs cmaes: pip install cmaes"):
        made("cmaes")


def test_neither_genvx_nor_its_own_tuners_load_optuna():
    code = (
        "import sys, genvx.cli.app, genvx.sweeps.nni.reading, genvx.sweeps.tuners.names as n\n"
        "from genvx.core.sweeps.space import SearchSpace\n"
        "from genvx.core.sweeps.goal import Goal\n"
        "n.tuner_of('grid', SearchSpace(), Goal.MAXIMIZE, 1)\n"
        "print(sorted({'optuna', 'numpy', 'sqlalchemy', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")
