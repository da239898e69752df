from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.part import Part
from genvx.core.runs.run import End, Moment, RunSpec
from genvx.core.runs.rungang import decisive, exit_code, together
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import (
    Completed,
    Failed,
    LossReason,
    Lost,
    Preparing,
    Running,
    Step,
    Stopped,
    StopReason,
    name_of,
)
from genvx.core.wire import gangtalk
from genvx.core.wire.plain import Malformed
from genvx.errors import InvalidInput

THEN = Moment(1, 1)


def at(second):
    return Moment(second * 10**9, second * 10**9)


def end(code, second):
    return End(THEN, at(second), code)


def run(state, rank=0, identifier="abcd", part=True):
    placed = Part(rank, ("a", "b", "c")) if part else None
    spec = RunSpec(identifier, ("x",), Requirements(1), "m", "h", THEN, part=placed)
    return RunInfo(spec, state)


RUNNING = Running(THEN, (), 1, 1)
FAILED = Failed(at(9), end(3, 5))
GANG = Stopped(at(6), StopReason.GANG, 0, end(143, 6))


@pytest.mark.parametrize(
    ("states", "told", "code"),
    [
        ([RUNNING, RUNNING], "running", None),
        ([RUNNING, Preparing(THEN, Step.START)], "preparing", None),
        ([Completed(at(5), end(0, 5)), RUNNING], "running", None),
        ([Completed(at(5), end(0, 5)), Completed(at(6), end(0, 6))], "completed", 0),
        ([GANG, FAILED], "failed", 3),
        ([Completed(at(2), end(0, 2)), GANG, FAILED], "failed", 3),
        ([Failed(at(7), end(4, 7)), FAILED], "failed", 3),
        ([Stopped(at(4), StopReason.ASKED, 0, end(143, 4)), FAILED], "stopped", 143),
        ([GANG, Lost(THEN, LossReason.REBOOT)], "lost", 1),
        ([Failed(at(4), why="never started: x")] * 2, "failed", 1),
    ],
)
def test_the_first_failure_speaks_for_all(states, told, code):
    parts = [run(state, rank) for rank, state in enumerate(states)]
    assert name_of(decisive(parts).state) == told
    assert exit_code(parts) == code


def test_parts_are_put_together_by_rank_and_other_runs_are_not():
    one, two = run(RUNNING, 1), run(RUNNING, 0)
    alone, same_id = run(RUNNING, part=False), run(RUNNING, part=False)
    groups = together([("b", one), ("x", alone), ("a", two), ("y", same_id), ("a2", two)])
    assert groups == [(("a", two), ("b", one)), (("x", alone),), (("y", same_id),)]


def test_a_rank_is_one_of_the_nodes():
    with pytest.raises(InvalidInput, match="no rank 2 among 2 nodes"):
        Part(2, ("a", "b"))


@given(st.binary(max_size=300))
def test_a_line_that_is_not_understood_is_refused_in_one_way(data):
    try:
        lines, _ = gangtalk.split(data)
        for line in lines:
            gangtalk.read(line)
    except Malformed:
        pass


def test_what_is_said_is_understood():
    nonce, proof = "0" * 32, "f" * 64
    said = [
        gangtalk.greeting(nonce),
        gangtalk.introduction(7, nonce, proof),
        gangtalk.welcome(proof),
        gangtalk.ended(143, 7),
        gangtalk.ALIVE,
        gangtalk.GO,
    ]
    lines, rest = gangtalk.split("".join(said).encode())
    words = [gangtalk.read(line) for line in lines]
    assert rest == b""
    assert [word.what for word in words] == ["genvx-gang", "part", "node0", "ended", "alive", "go"]
    assert (words[1].rank, words[1].nonce, words[1].proof) == (7, nonce, proof)
    assert (words[3].code, words[3].rank) == (143, 7)
