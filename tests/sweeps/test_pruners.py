"""Which trials are ended early."""

from __future__ import annotations

import math

import pytest

from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.outcome import Completed, Failed
from genvx.core.sweeps.space import SearchSpace, Uniform
from genvx.sweeps.tuners.names import tuner_of

SPACE = SearchSpace((Uniform("x", 0, 1),))


def pruning(pruner, goal=Goal.MAXIMIZE, name="random", **options):
    return tuner_of(name, SPACE, goal, 1, pruner=pruner, pruner_options=options).tuner


def reports(tuner, number, values, first=0):
    """Whether it would be ended, at each of the values."""
    return [tuner.reported(number, step, value) for step, value in enumerate(values, first)]


def test_median_ends_what_is_worse_than_half_of_the_completed_trials():
    tuner = pruning("Medianstop", trials=3)
    for number, value in enumerate((1.0, 2.0, 3.0)):
        assert reports(tuner, number, [value] * 3) == [False] * 3
        tuner.tell(number, Completed(value))
    assert reports(tuner, 3, [1.5]) == [True]
    assert reports(tuner, 4, [2.0, 0.0]) == [False, False], "the best so far counts"
    assert reports(tuner, 5, [math.nan]) == [True]


def test_median_waits_for_steps_and_for_completed_trials():
    tuner = pruning("median", trials=2, start_step=2)
    for number in range(2):
        reports(tuner, number, [5.0, 5.0])
        assert reports(tuner, 9 + number, [0.0, 0.0]) == [False, False]
        tuner.tell(number, Completed(5.0))
    tuner.tell(9, Failed("x"))
    assert reports(tuner, 3, [0.0, 0.0]) == [False, True]


def test_median_minimizes_too():
    tuner = pruning("Curvefitting", Goal.MINIMIZE)
    for number in range(5):
        reports(tuner, number, [1.0])
        tuner.tell(number, Completed(1.0))
    assert [reports(tuner, 6, [2.0]), reports(tuner, 7, [0.5])] == [[True], [False]]


def test_asha_lets_the_best_part_of_each_rung_go_on():
    tuner = pruning("asha", reduction=2)
    assert reports(tuner, 0, [1.0, 1.0]) == [False, False], "the first of a rung goes on"
    assert reports(tuner, 1, [0.5]) == [True]
    assert reports(tuner, 2, [2.0, 0.1]) == [False, False], "the best so far counts"
    assert reports(tuner, 3, [1.5]) == [False], "second of four"
    assert reports(tuner, 4, [1.2]) == [True], "third of five"
    assert reports(tuner, 5, [math.nan]) == [True]


def test_asha_judges_at_rungs_only_also_where_steps_are_missing():
    tuner = pruning("asha", min_steps=4, reduction=2)
    assert reports(tuner, 0, [9.0] * 8) == [False] * 8
    assert reports(tuner, 1, [0.0] * 4) == [False, False, False, True]
    assert tuner.reported(2, 20, 0.0), "two rungs at once"


def test_bohb_ends_trials_without_a_pruner_of_its_own():
    tuner = tuner_of("BOHB", SPACE, Goal.MAXIMIZE, 1, {"eta": 2}).tuner
    for number in range(2):
        assert set(tuner.ask(number)) == {"x"}
    assert [reports(tuner, 0, [1.0]), reports(tuner, 1, [0.5])] == [[False], [True]]


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_a_step_that_is_reported_twice_or_late_is_no_fault(name):
    tuner = pruning("median", name=name)
    tuner.ask(0)
    reports(tuner, 0, [1.0, math.inf])
    reports(tuner, 0, [1.0, 2.0])
    tuner.tell(0, Completed(1.0))
    tuner.tell(0, Completed(1.0))
    assert reports(tuner, 0, [1.0]) == [False]
