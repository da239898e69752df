"""Simulated devices that somebody uses: so the administrator's half can be tried without a GPU."""

from __future__ import annotations

import os
import subprocess

import pytest

from genvx.core.snapshot import State
from genvx.errors import InvalidInput
from genvx.local.devices.simulated import simulate
from genvx.local.host import LocalHost
from tests.conftest import run_genvx


def states(host: LocalHost) -> list[State]:
    snapshot = host.snapshot()
    return [snapshot.state(device) for device in snapshot.devices]


def test_a_process_keeps_a_simulated_gpu_for_as_long_as_it_lives(state, monkeypatch):
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        monkeypatch.setenv("GENVX_SIMULATE", f"2xA100-80GB,process={sleeper.pid}:20G@0")
        host = LocalHost()
        assert states(host) == [State.BUSY, State.FREE]
        refused = run_genvx("run", "-g", "2", "--", "true")
        user = host.entitlement().user
        assert f"in use outside any lease by {user}, pid {sleeper.pid}" in refused.stderr
        sleeper.kill()
    assert states(host) == [State.FREE, State.FREE]


def test_the_user_of_such_a_process_is_the_kernels_word(state):
    inventory = simulate(f"1xA100-80GB,process={os.getpid()}@0", "here")
    ((process,),) = [usage.processes for usage in inventory.usage.values()]
    assert (process.uid, process.memory, process.compute) == (os.getuid(), None, True)


def test_memory_of_nobody_keeps_a_simulated_gpu_and_the_doctor_says_so(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "1xA100-80GB,7xA100 1g.10gb-10GB, used=5G@1:2")
    assert states(LocalHost()).count(State.BUSY) == 1
    assert "warning: 5 GiB in use by no visible process" in run_genvx("doctor").stdout


@pytest.mark.parametrize(
    "text",
    [
        "process=1@2",
        "process=0@0",
        "process=1:0G@0",
        "process=1\x1b[2J@0",
        "process=99999999@0",
        "process=-1@0",
        "process=1;id@0",
        "used=81G@0",
        "used=5@0",
        "used=\N{ARABIC-INDIC DIGIT FIVE}G@0",
        "used=5G",
        "used=5G@0\nx",
        "=",
    ],
)
def test_a_use_that_cannot_be_is_refused_on_one_line(text):
    with pytest.raises(InvalidInput) as refused:
        simulate(f"2xA100-80GB,{text}", "here")
    assert str(refused.value).isprintable()
    assert str(refused.value).startswith("GENVX_SIMULATE: ")
