"""The script `enter` of a run, and what it needs, for as long as the run lives."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from genvx.errors import InvalidInput, UnknownRun
from genvx.local.delivered import Delivered
from genvx.local.runs import entrance
from genvx.local.runs.entering import enter
from genvx.local.runs.entrance import Entrance
from tests.capabilities import USER_A
from tests.helpers import until
from tests.local.runs.test_runs import shell


def test_the_agent_of_a_run_is_in_use_while_the_run_lives(start, catalog, tmp_path, monkeypatch):
    run = start(shell("sleep 1000"))
    agent = tmp_path / "agent-x"
    agent.touch()
    os.utime(agent, (1, 1))
    monkeypatch.setattr(entrance, "delivered", lambda: Delivered(str(agent), ""))
    with catalog.open(run) as directory:
        Entrance(run.spec, directory, {}).tend()
        assert agent.stat().st_mtime == 1  # a day has not passed
        monkeypatch.setattr(entrance, "_LOOK", 0.0)
        Entrance(run.spec, directory, {}).tend()
        assert agent.stat().st_mtime > 1


def test_the_script_is_its_owners_and_says_where_the_genvx_is_that_was_deleted(start, catalog):
    run = start(shell("sleep 1000"))
    with catalog.open(run) as directory:
        script = Path(directory.path, "enter")
    assert stat.S_IMODE(script.stat().st_mode) == 0o700
    for kept, gone in (("genvx.agent.session", "genvx.no.session"), ("/python", "/no-python")):
        changed = script.with_name("changed")
        changed.write_text(script.read_text().replace(kept, gone))
        done = subprocess.run(["sh", changed], capture_output=True, text=True)
        assert (done.stdout, done.returncode, done.stderr.count("\n")) == ("", 6, 1)
        assert done.stderr.endswith(f"is gone from this host; type: genvx ssh {run.id}\n")


@pytest.mark.needs("uids")
def test_the_script_lets_root_into_no_run_of_another_user(start, catalog):
    """It would start what that user has put there."""
    run = start(shell("sleep 1000"))
    with catalog.open(run) as directory:
        script = Path(directory.path, "enter")
    os.chown(script, USER_A, USER_A)
    done = subprocess.run([script, "id"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 5)
    assert done.stderr == f"genvx: run {run.id} is another user's\n"


def test_what_is_inside_of_a_run_is_not_left_behind_by_a_refusal(host, start, catalog, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    run = start(shell("sleep 1000", cwd=str(place)))
    place.rmdir()
    with pytest.raises(InvalidInput, match=f"the directory of run {run.id} is gone: {place}"):
        enter(host, run.id, command="x")
    until(lambda: len(host.store.scan().leases) == 1, "its lease is given back")
    with pytest.raises(UnknownRun):
        enter(host, "nope", command="x")
