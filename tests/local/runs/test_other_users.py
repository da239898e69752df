"""Runs among several users of one machine."""

from __future__ import annotations

import pytest

from tests.capabilities import USER_A, USER_B
from tests.helpers import until

START = """
import os
from genvx.core.requirements import Requirements
from genvx.core.run import Moment, RunSpec
from genvx.local.host import LocalHost
spec = RunSpec(os.urandom(4).hex(), ("sleep", "1000"), Requirements(1), "", "", Moment(0, 0))
print(LocalHost().submit(spec).id)
"""
STOP = """
from genvx.core.wire.runoperations import StopRun
from genvx.errors import GenvxError
from genvx.local.host import LocalHost
try:
    LocalHost().answer(StopRun({run!r}, force=True))
except GenvxError as error:
    print(type(error).__name__, error)
"""
SHOW = """
from genvx.core.runstate import name_of
from genvx.core.wire.runoperations import ListRuns
from genvx.local.host import LocalHost
print([name_of(run.state) for run in LocalHost().answer(ListRuns())])
"""


@pytest.mark.needs("uids")
def test_another_users_run_is_neither_shown_nor_stopped(world, shared_state, short_tmp):
    short_tmp.chmod(0o755)
    envs = {}
    for uid in (USER_A, USER_B):
        home = short_tmp / str(uid)
        home.mkdir()
        home.chmod(0o777)
        envs[uid] = {
            "GENVX_STATE_DIR": str(shared_state),
            "GENVX_SIMULATE": "2xA100-80GB",
            "GENVX_RUNS_DIR": str(home / "runs"),
        }

    def said(uid, code):
        answer = world.run(uid, code, **envs[uid])
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()

    run = said(USER_A, START)
    assert said(USER_B, SHOW) == "[]"
    assert said(USER_B, STOP.format(run=run)).startswith(f"NotOwner run {run} is ")
    assert said(USER_A, SHOW) == "['running']"
    assert said(USER_A, STOP.format(run=run)) == ""
    until(lambda: said(USER_A, SHOW) == "['stopped']")
