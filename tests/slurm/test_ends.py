"""What is taken within a job of Slurm ends with the job, and says so."""

from __future__ import annotations

import json
import time

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from tests.conftest import run_genvx


def job(left: float, *, key: str = "GENVX_JOB_ENDS") -> dict[str, str]:
    """The variables of a job that has two GPUs, and so many seconds left."""
    ends = str(int(time.time() + left))  # noqa: TID251  # Slurm tells a wall clock's
    return {"SLURM_JOB_ID": "12", "CUDA_VISIBLE_DEVICES": "0,1", key: ends}


@pytest.fixture
def within(state, monkeypatch):
    """Enters a job; returns this machine as the job has it."""

    def enter(left: float) -> LocalHost:
        for name, text in job(left).items():
            monkeypatch.setenv(name, text)
        return LocalHost()

    return enter


def test_a_lease_without_a_time_ends_shortly_before_its_job(within):
    with within(3600).acquire(Ask(Requirements(1))) as hold:
        assert 3500 < hold.grant.seconds < 3600
        assert hold.grant.notes == ()


def test_a_lease_that_would_last_longer_than_its_job_is_shortened_and_says_so(within):
    with within(3600).acquire(Ask(Requirements(1), lasts=18000)) as hold:
        assert hold.grant.seconds < 3600
        (note,) = hold.grant.notes
        assert note.startswith("job 12 of Slurm ends in ")
        assert note.endswith(", and this with it, not after 5 h")


def test_a_lease_that_ends_before_its_job_lasts_as_long_as_was_asked_for(within):
    with within(3600).acquire(Ask(Requirements(1), lasts=600)) as hold:
        assert (hold.grant.seconds, hold.grant.notes) == (600, ())


@pytest.mark.parametrize("text", ["", "soon", "-5", "12", "9" * 13, "1e9", "٣٤٥"])
def test_an_end_that_is_none_or_over_is_not_known(within, monkeypatch, text):
    host = within(3600)
    monkeypatch.setenv("GENVX_JOB_ENDS", text)
    with host.acquire(Ask(Requirements(1))) as hold:
        assert hold.grant.seconds is None


@pytest.mark.parametrize("key", ["GENVX_JOB_ENDS", "SLURM_JOB_END_TIME"])
def test_devices_say_when_the_job_ends(state, key):
    environ = job(5400, key=key)
    assert "genvx: the job of Slurm ends in 1 h " in run_genvx("devices", env=environ).stderr
    (host,) = json.loads(run_genvx("devices", "--json", env=environ).stdout)["hosts"]
    assert 5300 < host["ends_in_seconds"] <= 5400


def test_status_says_when_the_job_ends(state):
    assert "the job of Slurm ends in 1 h " in run_genvx("status", env=job(5400)).stdout


def test_a_command_is_ended_in_order_before_its_job_is(state):
    said = run_genvx("run", "--gpus", "1", "--", "sleep", "600", env=job(3))
    assert said.returncode != 0
    assert "the time of this environment is over" in said.stderr


def test_a_detached_run_that_is_shortened_says_so(state):
    environ = job(3600)
    said = run_genvx("run", "-d", "--gpus", "1", "--time", "5h", "--", "true", env=environ)
    assert said.returncode == 0, said.stderr
    assert "and this with it, not after 5 h" in said.stderr
