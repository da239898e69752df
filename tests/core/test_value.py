"""Values: as dataclasses are, for less."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from genvx.core.leases.claim import Owner
from genvx.core.value import field, replace, value, value_base


@value
class Point:
    """What a value may have."""

    x: int
    y: int = 2
    tags: dict[str, int] = field(default_factory=dict)

    def __post_init__(self):
        if self.x < 0:
            raise ValueError


def test_fields_come_by_place_by_name_and_by_default():
    assert (Point(1).x, Point(1).y, Point(x=1, y=3).y, Point(1, 3, {"a": 1}).tags) == (
        1, 2, 3, {"a": 1},
    )  # fmt: skip


def test_a_default_that_can_change_is_made_anew():
    assert Point(1).tags is not Point(1).tags


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), ((), {"y": 1}), ((1, 2, {}, 4), {}), ((1,), {"x": 2}), ((1,), {"z": 2})],
)
def test_arguments_that_do_not_fit_are_refused(arguments, named):
    with pytest.raises(TypeError):
        Point(*arguments, **named)


def test_a_value_is_checked_when_it_is_made_and_when_it_is_replaced():
    with pytest.raises(ValueError):  # it is the test's own
        Point(-1)
    with pytest.raises(ValueError):
        replace(Point(1), x=-1)


def test_a_value_does_not_change():
    with pytest.raises(AttributeError):
        Point(1).x = 2
    with pytest.raises(AttributeError):
        del Point(1).x


def test_values_are_equal_by_their_fields_and_kind():
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 2, {})
    assert hash(Owner(1, "a")) == hash(Owner(1, "a"))


def test_a_value_shows_its_fields():
    assert repr(Point(1)) == "Point(x=1, y=2, tags={})"


def test_replacing_makes_another():
    point = Point(1)
    assert replace(point, y=5) == Point(1, 5)
    assert point.y == 2


@value_base
class Named:
    """Fields that several values share."""

    name: str
    tags: dict[str, int] = field(default_factory=dict)


@value
class NamedPoint(Named):
    """A value with fields of its own beside those."""

    x: int
    y: int = 2


def test_a_value_has_the_fields_of_its_base_by_name():
    point = NamedPoint(1, name="a")
    assert (point.x, point.y, point.name, point.tags) == (1, 2, "a", {})
    assert point == NamedPoint(1, 2, name="a", tags={})
    assert point != NamedPoint(1, name="b")
    assert replace(point, name="b") == NamedPoint(1, name="b")
    assert repr(point) == "NamedPoint(x=1, y=2, name='a', tags={})"
    assert point.tags is not NamedPoint(1, name="a").tags


@pytest.mark.parametrize(("arguments", "named"), [((1,), {}), ((1, 2, ""), {}), ((), {"name": ""})])
def test_a_field_of_a_base_is_needed_and_not_taken_by_its_place(arguments, named):
    with pytest.raises(TypeError):
        NamedPoint(*arguments, **named)


def test_a_value_can_be_matched():
    match Point(1, 5):
        case Point(1, y):
            assert y == 5
        case _:
            pytest.fail("no match")


def test_a_value_travels_between_processes():
    assert pickle.loads(pickle.dumps(Owner(1, "a"))) == Owner(1, "a")


def test_the_far_end_imports_neither_dataclasses_nor_inspect():
    """They are a third of what a question to a host costs."""
    code = (
        "import sys; import genvx.agent.__main__, genvx.agent.serve, genvx.local.host; "
        "print([m for m in ('dataclasses', 'inspect', 'filelock', 'pynvml', 'fabric', 'typer', "
        "'subprocess', 'email') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.stdout == "[]\n", answer.stderr
