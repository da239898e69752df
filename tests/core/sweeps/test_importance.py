"""How much the results of a sweep go along with each parameter."""

from __future__ import annotations

import math
import random

from genvx.core.sweeps.importance import importances


def trials(many, result, seed=1):
    draw = random.Random(seed)
    made = []
    for _ in range(many):
        given = {
            "lr": 10 ** draw.uniform(-5, -1),
            "act": draw.choice(["relu", "gelu", "tanh"]),
            "idle": draw.uniform(0, 1),
        }
        made.append((given, result(given, draw)))
    return made


def test_what_decides_comes_first_and_what_does_nothing_is_near_zero():
    def result(given, draw):
        best = -((math.log10(given["lr"]) + 3) ** 2)  # neither rises nor falls
        return best + (0.5 if given["act"] == "gelu" else 0.0) + draw.gauss(0, 0.1)

    found = importances(trials(200, result))
    assert list(found) == ["lr", "act", "idle"]
    assert found["lr"] > 0.7
    assert 0.0 < found["act"] < 0.3
    assert found["idle"] < 0.05


def test_one_result_that_is_far_off_does_not_decide():
    made = trials(60, lambda given, draw: given["idle"])
    made[7] = (made[7][0], 1e300)
    assert next(iter(importances(made))) == "idle"


def test_chance_alone_is_taken_off():
    parts = [
        importances(trials(40, lambda given, draw: draw.random(), seed))["act"]
        for seed in range(20)
    ]
    assert sum(parts) / len(parts) < 0.05


def test_too_few_results_and_values_that_never_change_give_nothing():
    assert importances(trials(9, lambda given, draw: given["lr"])) == {}
    same = [({"lr": 1, "n": at % 2}, float(at)) for at in range(20)]
    assert list(importances(same)) == ["n"]
    assert importances([({"n": at % 2}, 1.0) for at in range(20)]) == {"n": 0.0}


def test_a_nested_choice_is_judged_by_its_name_and_part_of_the_trials_by_themselves():
    nested = [
        (
            {"net": {"_name": "ab"[at % 2], "width": at}, **({"x": at} if at % 2 else {})},
            at % 2 + at / 100,
        )
        for at in range(40)
    ]
    found = importances(nested)
    assert found["net"] > 0.7
    assert found["x"] > 0.8
