"""Which runs are meant by what people type."""

from __future__ import annotations

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import End, Moment, RunSpec
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runselect import Filter, find, newest_first
from genvx.core.runs.runstate import Completed, Failed, Running
from genvx.errors import InvalidInput, UnknownRun


def run(identifier, second, name="", label="", tags=(), state=None):
    then = Moment(second * 10**9, 0)
    end = End(then, then, code=0)
    spec = RunSpec(identifier, ("true",), Requirements(1), "m", "h", then, name)
    return RunInfo(spec, state or Completed(then, end), label=label, tags=tags)


THEN = Moment(0, 0)
OLD = run("aaaa1111", 1, "train", tags=("x", "y"))
MIDDLE = run("aaaa2222", 2, "train", state=Running(THEN, ("GPU-1",), 5, 6))
NEW = run("bbbb3333", 3, "test", "best", tags=("x",), state=Failed(THEN, End(THEN, THEN, code=1)))
RUNS = [MIDDLE, NEW, OLD]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", NEW),
        ("1", NEW),
        ("3", OLD),
        ("aaaa1111", OLD),
        ("bbbb", NEW),
        ("aaaa2", MIDDLE),
        ("test", NEW),
        ("best", NEW),
    ],
)
def test_a_run_is_meant_by_number_id_prefix_name_or_label(wanted, expected):
    assert find(RUNS, wanted) is expected


@pytest.mark.parametrize("wanted", ["0", "4", "zzz", "bbb", "BBBB", "aaaa3", "999", "²"])
def test_what_means_no_run_is_refused(wanted):
    with pytest.raises(UnknownRun, match="no run"):
        find(RUNS, wanted)


def test_what_means_several_runs_lists_them_newest_first():
    with pytest.raises(UnknownRun, match=r"aaaa2222 \(running\), aaaa1111 \(completed\)"):
        find(RUNS, "aaaa")
    older = run("dddd0000", 0, "test")
    with pytest.raises(UnknownRun, match=r"bbbb3333 \(failed\), dddd0000 \(completed\)"):
        find([*RUNS, older], "test")


def test_a_name_of_several_runs_means_the_only_one_that_is_not_over():
    assert find(RUNS, "train") is MIDDLE
    other = run("dddd5555", 9, "train", state=Running(THEN, ("GPU-2",), 7, 8))
    with pytest.raises(UnknownRun, match=r"dddd5555 \(running\), aaaa2222 \(running\)"):
        find([*RUNS, other], "train")


def test_where_there_are_no_runs_that_is_said():
    with pytest.raises(UnknownRun, match="there are no runs"):
        find([])


def test_numbers_begin_at_one_also_where_the_answer_counts_none():
    for runs in (RUNS, []):
        with pytest.raises(UnknownRun, match="no run 0; 1 is the latest"):
            find(runs, "0")


def test_an_id_comes_before_a_name_and_a_name_before_a_prefix():
    named = run("cccc4444", 9, "aaaa1111")
    prefix = run("dddd5555", 9, "aaaa")
    assert find([*RUNS, named], "aaaa1111") is OLD
    assert find([*RUNS, prefix], "aaaa") is prefix


def test_control_characters_of_what_was_typed_are_escaped():
    with pytest.raises(UnknownRun, match=r"'\\\\x1b"):
        find(RUNS, "\x1b[2J")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (Filter(), [NEW, MIDDLE, OLD]),
        (Filter(states=("failed", "running")), [NEW, MIDDLE]),
        (Filter(tags=("x",)), [NEW, OLD]),
        (Filter(tags=("x", "y")), [OLD]),
        (Filter(name="best"), [NEW]),
        (Filter(since_epoch_ns=2 * 10**9), [NEW, MIDDLE]),
        (Filter(states=("running",), tags=("x",)), []),
    ],
)
def test_a_listing_is_narrowed_by_all_that_is_given(chosen, expected):
    assert [run for run in newest_first(RUNS) if chosen.matches(run)] == expected


def test_an_unknown_state_is_refused_with_the_words_that_there_are():
    with pytest.raises(InvalidInput, match="no state 'done'; states are waiting, preparing"):
        Filter(states=("done",))
