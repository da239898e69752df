"""What trials report, which value is better, and how trials end."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genvx.core.sweeps.goal import Goal, StopWhen
from genvx.core.sweeps.outcome import Completed, Failed, completed
from genvx.core.sweeps.report import MOST_BYTES, Report, read_report
from genvx.errors import InvalidInput


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (b'{"value": 0.93}\n', Report(0.93, None, True)),
        (b'{"step": 3, "value": 0.7}', Report(0.7, 3, False)),
        (b'{"step": 3.0, "value": 1, "final": true}', Report(1.0, 3, True)),
        (b'{"value": 1, "final": false, "loss": 2}', Report(1.0, None, False, {"loss": 2})),
        (
            b'{"epoch": 3, "x": [NaN, {"y": Infinity}]}',
            Report(more={"epoch": 3, "x": [None, {"y": None}]}),
        ),
        (b'{"value": null}', Report()),
        (b"0.93", Report(0.93, None, True)),
        (b"  -3 ", Report(-3.0, None, True)),
        (b"-inf\n", Report(-math.inf, None, True)),
        (b'{"value": 1e999}', Report(math.inf, None, True)),
        (b'{"value": -' + b"9" * 400 + b"}", Report(-math.inf, None, True)),
    ],
)
def test_a_line_is_a_report(line, report):
    assert read_report(line) == report


def test_a_value_that_is_no_number_is_a_report_and_a_failure():
    assert math.isnan(read_report(b"nan\n").value)  # as print(float("nan")) has it
    report = read_report(b'{"value": NaN}')
    assert report.final
    assert completed(report.value) == Failed("it reported nan")
    assert completed(0.5) == Completed(0.5)
    assert completed(None) == Completed(None)
    with pytest.raises(InvalidInput, match="cannot be completed with inf"):
        Completed(math.inf)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"epoch 3",
            b"true",
            b"null",
            b"[1]",
            b'"0.9"',
            b"\xff",
            b'{"value": 1',
            b"{'value': 1}",
        ),
        *(b'{"value": "1"}', b'{"value": true}', b'{"value": [1]}'),
        *(b'{"step": -1, "value": 1}', b'{"step": 1.5}', b'{"step": true}', b'{"step": 1e300}'),
        *(
            b'{"final": 1, "value": 1}',
            b"9" * 5000,
            b"[" * 60_000,
            b'{"a":' * 17 + b"1" + b"}" * 17,
        ),
        b'{"value": 1, "x": "' + b"a" * MOST_BYTES + b'"}',
    ],
)
def test_a_line_that_is_no_report_is_none(line):
    assert read_report(line) is None


@settings(max_examples=50)
@given(st.binary(max_size=200) | st.text(max_size=50).map(lambda text: json.dumps(text).encode()))
def test_any_line_is_a_report_or_none(line):
    found = read_report(line)
    assert found is None or isinstance(found, Report)


def test_what_is_no_number_is_never_better():
    for goal, good, bad in ((Goal.MAXIMIZE, 2.0, 1.0), (Goal.MINIMIZE, 1.0, 2.0)):
        assert goal.better(good, bad)
        assert not goal.better(bad, good)
        assert not goal.better(good, good)
        for worst in (None, math.nan, math.inf, -math.inf):
            assert goal.better(bad, worst)
            assert not goal.better(worst, bad)
            assert not goal.better(worst, worst)


@pytest.mark.parametrize(
    ("text", "report", "met"),
    [
        ("value > 0.95", Report(0.96), True),
        ("value > 0.95", Report(0.95), False),
        ("value>=.95", Report(0.95), True),
        ("value <= -1e-3", Report(-1.0), True),
        ("value > 0.95", Report(math.nan), False),
        ("value > 0.95", Report(), False),
        ("step >= 10", Report(0.1, 10), True),
        ("loss < 0.1", Report(more={"loss": 0.05}), True),
        ("loss < 0.1", Report(more={"loss": True}), False),
        ("loss < 0.1", Report(more={"loss": "0"}), False),
    ],
)
def test_a_condition_is_met_or_not(text, report, met):
    assert StopWhen.parse(text).met(report) is met


@pytest.mark.parametrize(
    "text",
    ["", "value", "value = 1", "value > x", "value > 1 or 1", "__import__('os')", "value > 1e999"],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(InvalidInput, match=r"write it like value > 0\.95"):
        StopWhen.parse(text)


def test_a_goal_has_a_name():
    assert Goal.parse("Minimize") is Goal.MINIMIZE
    with pytest.raises(InvalidInput, match="maximize or minimize, not 'max'"):
        Goal.parse("max")
