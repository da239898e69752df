"""Sweeps as a program has them, on fake hosts."""

from __future__ import annotations

import asyncio
import json

import pytest

import genvx
from genvx.testing import FakeHost, Played


@pytest.fixture(autouse=True)
def own_sweeps(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def host(name):
    def scored(spec):
        given = spec.trial.parameters
        return Played(reports=json.dumps(given["lr"] * given["layers"]).encode() + b"\n")

    return FakeHost(name, 1, script=scored)


SPACE = {
    "lr": genvx.log(1e-5, 1e-1),
    "layers": [1, 2],
    "act": "relu,gelu",
    "n": genvx.integers(1, 3),
}


def test_a_program_gets_the_best_and_all_trials():
    with genvx.Fleet([host("a"), host("b")]) as fleet:
        found = fleet.sweep(["train", "{lr}", "{layers}", "{act}", "{n}"], SPACE, trials=6, gpus=1)
        low = fleet.sweep("train", SPACE, trials=4, gpus=1, maximize=False, stop_when="value < 1")
    assert [each.number for each in found.trials] == list(range(6))
    assert found.best.value == max(each.value for each in found.trials)
    assert found.best.parameters["act"] in ("relu", "gelu")
    assert found.why == "trials"
    assert low.why == "value"


def test_a_coroutine_has_the_same():
    async def main():
        return await genvx.aio.Fleet(genvx.Fleet([host("a")])).sweep(
            "train", SPACE, trials=3, gpus=1
        )

    assert len(asyncio.run(main()).trials) == 3


def test_what_is_no_space_is_refused_in_words():
    with genvx.Fleet([host("a")]) as fleet:
        with pytest.raises(genvx.InvalidInput, match=r"lr is genvx\.log"):
            fleet.sweep("train", {"lr": 3}, trials=2)
        with pytest.raises(genvx.InvalidInput, match="has no end"):
            fleet.sweep("train", {"lr": genvx.uniform(0, 1)})
