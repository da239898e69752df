"""Search spaces: NNI's types as they are documented, grids, sampling, and what is refused."""

from __future__ import annotations

import json
import math
import statistics
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genvx.core.sweeps.nnispace import TYPES, space_of_json, space_of_nni
from genvx.core.sweeps.plainspace import space_of_plain, space_to_plain
from genvx.core.sweeps.space import Branch, Choice, Normal, SearchSpace, Uniform, Whole
from genvx.errors import InvalidInput

NESTED = {
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "Empty"},
            {"_name": "Conv", "kernel": {"_type": "choice", "_value": [1, 3]}},
        ],
    },
    "lr": {"_type": "choice", "_value": [0.1, 0.2]},
}


def drawn(kind, values, times=500):
    """What a parameter of this type is, many times."""
    space = space_of_nni({"x": {"_type": kind, "_value": values}})
    return [space.sample(Random(f"7:{number}"))["x"] for number in range(times)]


# Each type: its _value, and what NNI's documentation says of what it becomes.


def some(*values):
    return lambda found: set(map(repr, found)) == set(map(repr, values))


def between(low, high, middle):
    """All within bounds, and about half of them below the middle."""
    return lambda found: (
        all(low <= each <= high for each in found)
        and 0.4 < sum(each < middle for each in found) / len(found) < 0.6
    )


MEANINGS = [
    ("choice", [2, "a", None, [1, 2], True], some(2, "a", None, [1, 2], True)),
    # the upper bound is excluded
    ("randint", [-1, 3], some(-1, 0, 1, 2)),
    ("uniform", [-2, 4], between(-2, 4, 1)),
    ("quniform", [0, 10, 2.5], some(0.0, 2.5, 5.0, 7.5, 10.0)),
    # rounded first, then clipped
    ("quniform", [2, 10, 5], some(2.0, 5.0, 10.0)),
    ("quniform", [0, 0.3, 0.1], some(0.0, 0.1, 0.2, 0.3)),
    ("loguniform", [1e-4, 1.0], between(1e-4, 1.0, 1e-2)),
    ("qloguniform", [1, 20, 10], some(1.0, 10.0, 20.0)),
    ("normal", [5, 2], lambda found: abs(statistics.fmean(found) - 5) < 0.4),
    ("normal", [5, 2], lambda found: abs(statistics.stdev(found) - 2) < 0.3),
    # no bounds, also with a step
    ("qnormal", [0, 1, 2], lambda found: {-2.0, 0.0, 2.0} <= set(found) <= set(range(-8, 9, 2))),
    ("lognormal", [0, 1], lambda found: min(found) > 0 and 0.8 < statistics.median(found) < 1.25),
    ("qlognormal", [0, 1, 1], lambda found: set(found) >= {0.0, 1.0, 2.0, 3.0}),
]


@pytest.mark.parametrize(("kind", "values", "holds"), MEANINGS)
def test_each_type_of_nni_means_what_its_documentation_says(kind, values, holds):
    assert holds(drawn(kind, values))


def test_no_type_is_left_out_here():
    assert {kind for kind, *_ in MEANINGS} == set(TYPES)


def test_a_nested_choice_brings_the_parameters_of_what_was_chosen():
    space = space_of_nni(NESTED)
    assert list(space.grid()) == [
        {"layer": {"_name": "Empty"}, "lr": 0.1},
        {"layer": {"_name": "Empty"}, "lr": 0.2},
        {"layer": {"_name": "Conv", "kernel": 1}, "lr": 0.1},
        {"layer": {"_name": "Conv", "kernel": 1}, "lr": 0.2},
        {"layer": {"_name": "Conv", "kernel": 3}, "lr": 0.1},
        {"layer": {"_name": "Conv", "kernel": 3}, "lr": 0.2},
    ]
    assert space.size == 6


def test_a_grid_of_continuous_parameters_becomes_finer_and_repeats_nothing():
    space = SearchSpace((Uniform("x", 0, 1), Choice("c", ("a", "b"))))
    found = list(islice(space.grid(), 18))
    assert space.size is None
    assert found[:6] == [{"x": x, "c": c} for x in (0.0, 0.5, 1.0) for c in ("a", "b")]
    assert {each["x"] for each in found} == {part / 8 for part in range(9)}
    assert len({json.dumps(each) for each in found}) == 18


@st.composite
def dimensions(draw, depth=0):
    name = draw(st.text("abcxyz_", min_size=1, max_size=6))
    small = st.floats(-1e6, 1e6, allow_nan=False)
    kind = draw(st.sampled_from(["choice", "uniform", "log", "whole", "wholelog", "normal"]))
    if kind == "choice":
        scalars = st.one_of(st.integers(-99, 99), small, st.text("a b'\"$", max_size=3), st.none())
        values = draw(st.lists(scalars, min_size=1, max_size=4, unique_by=json.dumps))
        if depth < 2 and draw(st.booleans()):
            below = draw(spaces(depth + 1))
            values.append(Branch("branch", below.dimensions))
        return Choice(name, tuple(values))
    if kind in ("whole", "wholelog"):
        low = draw(st.integers(1, 50))
        log = kind == "wholelog"
        step = 1 if log else draw(st.integers(1, 9))
        return Whole(name, low, low + draw(st.integers(0, 50)), log, step)
    if kind == "normal":
        log = draw(st.booleans())
        return Normal(
            name,
            draw(st.floats(-5, 5)),
            draw(st.floats(0.01, 3)),
            draw(st.none() | st.floats(0.01, 3)),
            log,
        )
    low = draw(st.floats(1e-6, 1e3))
    high = low + draw(st.floats(0.01, 1e3))
    return Uniform(name, low, high, draw(st.none() | st.floats(0.01, 99)), kind == "log")


@st.composite
def spaces(draw, depth=0):
    return SearchSpace(
        tuple(draw(st.lists(dimensions(depth), max_size=4, unique_by=lambda each: each.name)))
    )


def holds(found, dimension):
    if isinstance(dimension, Normal):
        return math.isfinite(found)
    if isinstance(dimension, Choice):
        branches = [each for each in dimension.values if isinstance(each, Branch)]
        if isinstance(found, dict):
            (branch,) = branches
            return found["_name"] == branch.name and all(
                holds(found[each.name], each) for each in branch.dimensions
            )
        return json.dumps(found) in [
            json.dumps(each) for each in dimension.values if not isinstance(each, Branch)
        ]
    return dimension.low <= found <= dimension.high


@given(spaces(), st.integers())
def test_every_sample_is_in_its_space_and_the_same_for_the_same_seed(space, seed):
    found = space.sample(Random(seed))
    assert tuple(found) == space.names
    assert all(holds(found[each.name], each) for each in space.dimensions)
    assert space.sample(Random(seed)) == found
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@settings(max_examples=50)
@given(spaces())
def test_a_grid_repeats_nothing_and_has_as_many_points_as_its_size_says(space):
    points = [json.dumps(each) for each in islice(space.grid(), 300)]
    assert len(set(points)) == len(points)
    if space.size is not None:
        assert len(points) == min(space.size, 300)


@settings(max_examples=50)
@given(spaces())
def test_a_space_is_the_same_after_a_journal(space):
    assert space_of_plain(json.loads(json.dumps(space_to_plain(space)))) == space


def one(kind, values):
    return {"x": {"_type": kind, "_value": values}}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "a search space is an object"),
        ({"x": 3}, "x: a parameter is an object"),
        ({"x": {"_type": "choice", "value": [1]}}, "there is no key 'value'"),
        (one("unifrom", [0, 1]), "did you mean uniform?"),
        (one("banana", [0, 1]), "types are choice, randint"),
        (one("uniform", [0]), r"the _value of uniform is \[low, high\]"),
        (one("quniform", [0, 1]), r"is \[low, high, q\]"),
        (one("qnormal", [0, 1]), r"is \[mu, sigma, q\]"),
        (one("uniform", "ab"), "_value is a list"),
        (one("uniform", [1, 1]), "1 is not less than 1"),
        (one("uniform", [0, math.nan]), "finite"),
        (one("uniform", [0, math.inf]), "finite"),
        (one("uniform", [0, 10**400]), "too large"),
        (one("uniform", [-1e300, 1e300]), "too large"),
        (one("uniform", [False, True]), "not a number"),
        (one("loguniform", [0, 1]), "a logarithm needs more than 0"),
        (one("quniform", [0, 1, 0]), "a step is more than 0"),
        (one("quniform", [0, 1, 1e-30]), "too small"),
        (one("randint", [3, 3]), "excludes its upper bound"),
        (one("randint", [0.5, 3]), "whole numbers"),
        (one("randint", [0, 1e100]), "not a whole number"),
        (one("normal", [0, 0]), "deviation"),
        (one("lognormal", [0, 400]), "too large"),
        (one("choice", []), "no values"),
        (one("choice", ["a\0b"]), "not a text for a command"),
        (one("choice", ["\ud800"]), "not a text for a command"),
        (one("choice", [math.nan]), "finite"),
        (one("choice", [{"a": 1}]), "needs _name"),
        (one("choice", [{"_name": "a"}, {"_name": "a"}]), "'a' is there twice"),
        ({"a b": {}}, "not a name of a parameter: 'a b'"),
        ({"_name": {}}, "not a name of a parameter: '_name'"),
        ({"x" * 65: {}}, "not a name of a parameter"),
        ({"é": {}}, "not a name of a parameter"),
        ({f"x{n}": one("choice", [1])["x"] for n in range(257)}, "more than 256 parameters"),
        (one("choice", list(range(10_001))), "more than 10000 values"),
    ],
)
def test_what_is_no_space_is_refused_with_the_place(found, words):
    with pytest.raises(InvalidInput, match=words):
        space_of_nni(found)


def test_a_space_that_is_nested_without_end_is_refused():
    found = {"_type": "choice", "_value": [1]}
    for _ in range(40):
        found = {"_type": "choice", "_value": [{"_name": "n", "x": found}]}
    with pytest.raises(InvalidInput, match="nested more than 8 deep"):
        space_of_nni({"x": found})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"x": }', "f.json:1:7: not JSON"),
        ('{"x": 1, "x": 2}', "f.json: 'x' is there twice"),
        ('{"x": NaN}', "f.json: NaN is no JSON"),
        ("[" * 100_000, "f.json: nested too deep"),
        ('{"x": {"_type": "uniform", "_value": [1]}}', "f.json: x: the _value of uniform"),
        ("9" * 5000, "f.json"),
    ],
)
def test_a_file_that_is_no_space_is_refused_with_its_name(text, words):
    with pytest.raises(InvalidInput, match=words):
        space_of_json(text, "f.json")


@pytest.mark.parametrize("found", [{}, [3], [{"kind": "x"}], [{"kind": "whole", "nam": 1}]])
def test_a_journal_that_has_no_space_is_refused(found):
    with pytest.raises(InvalidInput, match="not a search space"):
        space_of_plain(found)
