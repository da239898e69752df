"""Parameters as people type them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.sweeps.shortform import dimension_of
from genvx.core.sweeps.space import Choice, Uniform, Whole
from genvx.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("lr=log:1e-5..1e-1", Uniform("lr", 1e-5, 0.1, None, True)),
        ("dropout=0..0.5", Uniform("dropout", 0.0, 0.5)),
        ("dropout=0..0.5/0.1", Uniform("dropout", 0.0, 0.5, 0.1)),
        ("shift=-1..+.5", Uniform("shift", -1.0, 0.5)),
        ("seed=int:0..9", Whole("seed", 0, 9)),
        ("seed=int:3..3", Whole("seed", 3, 3)),
        ("width=int:16..256/16", Whole("width", 16, 256, False, 16)),
        ("size=int:log:1..1000", Whole("size", 1, 1000, True)),
        ("size=log:int:1..1000", Whole("size", 1, 1000, True)),
        ("layers=2,4,8", Choice("layers", (2, 4, 8))),
        ("x= 1, 2.5,1e-3 ", Choice("x", (1, 2.5, 0.001))),
        ("act=relu", Choice("act", ("relu",))),
        ("x=true,false,null,007,-3", Choice("x", (True, False, None, "007", -3))),
        ("x=1,1.0,true", Choice("x", (1, 1.0, True))),
        ('x=["a,b", 3, [1]]', Choice("x", ("a,b", 3, [1]))),
        ("data=../one,../two", Choice("data", ("../one", "../two"))),
        ("at=12:30,a=b", Choice("at", ("12:30", "a=b"))),
    ],
)
def test_a_dimension_is_read_as_it_is_typed(text, dimension):
    assert repr(dimension_of(text)) == repr(dimension)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", "not a parameter: 'lr'; write it like lr=log"),
        ("=3", "not a name of a parameter"),
        ("a b=3", "not a name of a parameter"),
        ("x=", "not a parameter"),
        ("x=1..y", "not a range: '1..y'"),
        ("x=..3", "not a range"),
        ("x=low..high", "not a range"),
        ("x=0..inf", "not a range"),
        ("x=1e400,2", "finite"),
        ("x=0..1e400", "finite"),
        ("x=2..1", "2 is not less than 1"),
        ("x=log:0..1", "a logarithm needs more than 0"),
        ("x=log:3", "log: needs a range"),
        ("x=int:a,b", "int: needs a range"),
        ("x=int:0..1.5", "whole numbers"),
        ("x=int:9..1", "9 is more than 1"),
        ("x=int:0..999999999999999999", "not a whole number"),
        ("x=int:log:1..9/2", "log and a step"),
        ("x=0..1/0", "more than 0"),
        ("x=0.05..1/0.1", "no multiple of the step"),
        ("x=1,,2", "a value is missing"),
        ("x=a,b,a", "there twice"),
        ("x=[1,", "not a list of JSON"),
        ("x=[NaN]", "not a list of JSON"),
        ("x=" + "[" * 50_000, "not a list of JSON"),
        ("x=" + "a" * 70_000, "too long"),
        ("x=a\0b", "not a text for a command"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_right_form(text, words):
    with pytest.raises(InvalidInput, match=words):
        dimension_of(text)


@given(st.text(max_size=40))
def test_any_text_is_a_dimension_or_refused(text):
    for each in (text, f"x={text}", f"x=log:{text}", f"x=int:{text}"):
        try:
            assert dimension_of(each).name
        except InvalidInput as error:
            assert str(error).isprintable()
