"""What the figures are told with: the oracle, the mutilation of input, the verdicts."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from torture import cases, ground
from torture.oracle import Oracle, prepare
from torture.trial import Outcome, percentile, until


@pytest.fixture
def claims(tmp_path):
    prepare(str(tmp_path), ["GPU-1", "GPU-2"])
    return str(tmp_path)


def test_a_device_is_claimed_once(claims):
    first, second = Oracle(claims), Oracle(claims)
    assert first.claim("GPU-1")
    assert not second.claim("GPU-1")
    assert second.claim("GPU-2")


def test_shares_are_claimed_until_the_device_is_full(claims):
    assert [Oracle(claims).claim("GPU-1", 4) for _ in range(2)] == [True, True]


def test_shares_beyond_the_device_are_told(claims):
    kept = [Oracle(claims), Oracle(claims), Oracle(claims)]
    assert [each.claim("GPU-1", 4) for each in kept] == [True, True, False]


def test_what_was_given_back_can_be_claimed(claims):
    first = Oracle(claims)
    first.claim("GPU-1")
    first.give_back()
    assert Oracle(claims).claim("GPU-1")


def test_a_killed_claimant_has_no_claim(claims):
    reads, writes = os.pipe()

    def claim():
        Oracle(claims).claim("GPU-1")
        os.write(writes, b"x")
        signal.pause()

    ground.many_descriptors()
    pid = ground.fork(claim)
    os.read(reads, 1)
    assert not Oracle(claims).claim("GPU-1")
    ground.kill(pid)
    assert until(lambda: Oracle(claims).claim("GPU-1"))


def test_the_oracle_as_a_program_tells_what_it_saw(claims, tmp_path):
    told = tmp_path / "told"
    holder = Oracle(claims)
    holder.claim("GPU-2")
    for devices in ("GPU-1", "GPU-2", ""):
        subprocess.run(
            [sys.executable, "-I", "-S", ROOT / "torture/oracle.py", claims, "0", told],
            env={"CUDA_VISIBLE_DEVICES": devices},
            check=True,
        )
    assert told.read_text() == "used\ndouble GPU-2\nused\n"


def test_edits_are_the_same_for_the_same_chance():
    made = [cases.edited(b"hello world", cases.random_edits(random.Random(7))) for _ in range(2)]
    assert made[0] == made[1]


def test_a_value_is_put_into_every_place_of_a_document():
    document = {"a": [1, {"b": 2}], "c": 3}
    changed = [cases.with_value(document, path, "x") for path in cases.places(document)]
    assert {"a": [1, {"b": "x"}], "c": 3} in changed
    assert {"a": "x", "c": 3} in changed
    assert document not in changed


def test_a_figure_with_a_violation_or_a_miss_is_not_met():
    fine, violated, missed = Outcome(), Outcome(), Outcome()
    fine.check(1, "fine")
    fine.at_most(3, 4, "ms")
    violated.check(0, "two\nlines")
    missed.at_least(3, 4, "grants")
    assert [each.met for each in (fine, violated, missed)] == [True, False, False]
    assert violated.violations == ["two lines"]


def test_a_percentile_is_a_value_that_was_seen():
    assert percentile([5.0, 1.0, 9.0], 0.99) == 9.0
    assert percentile([5.0, 1.0, 9.0], 0.5) == 5.0
