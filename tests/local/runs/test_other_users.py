"""Runs among several users of one machine."""

from __future__ import annotations

import os

import pytest

from tests.capabilities import USER_A, USER_B
from tests.helpers import until

START = """
import os
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
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
FIND = """
from genvx.core.wire.runoperations import FindRuns
from genvx.errors import GenvxError
from genvx.local.host import LocalHost
try:
    print(*(run.id for run in LocalHost().answer(FindRuns({run!r}, others={others}))))
except GenvxError as error:
    print(type(error).__name__, error)
"""
SHOW = """
from genvx.core.runs.runstate import name_of
from genvx.core.wire.runoperations import ListRuns
from genvx.local.host import LocalHost
print([name_of(run.state) for run in LocalHost().answer(ListRuns())])
"""


RECORD = """
from genvx.core.wire.runoperations import ListRuns
from genvx.local.host import LocalHost
(run,) = LocalHost().answer(ListRuns())
print(run.state.why.value, run.state.by)
"""
# Says that another process supervises a run, and where its directory is.
FORGE = """
import sys
from genvx.core.runs.supervision import Supervision
from genvx.core.value import replace
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.local.runs import lock
from genvx.local.state import publishing
from genvx.local.state.runkind import RUN
state, pid = LocalHost().state, {pid}
us, since = processes.owner_of(state.uid), processes.starttime(pid)
claim = Supervision("f0f0f0f0", us, pid, since, {place!r})
with state.own() as own:
    held = publishing.publish("f0f0f0f0", RUN, RUN.write(claim), own)
print("ready", flush=True)
sys.stdin.read()
"""


class Users:
    """Two users of a machine with two GPUs, and root."""

    def __init__(self, world, shared_state, homes):
        self.world = world
        self.envs = {}
        for uid in (0, USER_A, USER_B):
            home = homes / str(uid)
            home.mkdir()
            os.chown(home, uid, uid)
            self.envs[uid] = {
                "GENVX_STATE_DIR": str(shared_state),
                "GENVX_SIMULATE": "2xA100-80GB",
                "GENVX_RUNS_DIR": str(home / "runs"),
            }

    def said(self, uid, code):
        answer = self.world.run(uid, code, **self.envs[uid])
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.strip()


@pytest.fixture
def users(world, shared_state, short_tmp):
    short_tmp.chmod(0o755)
    return Users(world, shared_state, short_tmp)


@pytest.mark.needs("uids")
def test_another_users_run_is_neither_shown_nor_stopped(users):
    run = users.said(USER_A, START)
    assert users.said(USER_B, SHOW) == "[]"
    assert users.said(USER_B, STOP.format(run=run)).startswith(f"NotOwner run {run} is ")
    assert users.said(USER_A, SHOW) == "['running']"
    assert users.said(USER_A, STOP.format(run=run)) == ""
    until(lambda: users.said(USER_A, SHOW) == "['stopped']")


@pytest.mark.needs("uids")
def test_root_finds_the_run_of_another_user_to_end_it_and_for_nothing_else(users):
    """So no shell, view or tunnel is begun in it, and its name is not read from its directory."""
    run = users.said(USER_A, START)
    assert users.said(0, FIND.format(run=run, others=True)) == run
    for uid, others in ((0, False), (USER_B, False), (USER_B, True)):
        said = users.said(uid, FIND.format(run=run, others=others))
        assert said.startswith(f"NotOwner run {run} is ")
    assert users.said(0, FIND.format(run=run[:5], others=False)) == ""
    users.said(USER_A, STOP.format(run=run))


@pytest.mark.needs("uids")
@pytest.mark.parametrize("length", [8, 5])
def test_root_stops_the_run_of_another_user_and_its_record_says_who_did(users, length):
    run = users.said(USER_A, START)
    assert users.said(0, SHOW) == "[]"
    assert users.said(0, STOP.format(run=run[:length])) == ""
    until(lambda: users.said(USER_A, SHOW) == "['stopped']")
    assert users.said(USER_A, RECORD) == "asked 0"


@pytest.mark.needs("uids")
def test_root_stops_a_run_whose_directory_it_cannot_use(users, short_tmp):
    """The signal itself says who sent it."""
    run = users.said(USER_A, START)
    home = short_tmp / str(USER_A)
    home.rename(short_tmp / "elsewhere")
    assert users.said(0, STOP.format(run=run)) == ""
    (short_tmp / "elsewhere").rename(home)
    until(lambda: users.said(USER_A, SHOW) == "['stopped']")
    assert users.said(USER_A, RECORD) == "asked 0"


@pytest.mark.needs("uids")
def test_root_signals_no_process_that_is_not_the_supervisor_and_writes_nowhere_else(
    users, short_tmp
):
    """A user could name any process and any directory."""
    place = short_tmp / "0" / "f0f0f0f0"
    place.mkdir()
    for uid, victim in ((USER_A, USER_B), (USER_A, USER_A)):
        with users.world.start(victim, "import time; time.sleep(1000)") as other:
            code = FORGE.format(pid=other.pid, place=str(place))
            with users.world.start(uid, code, **users.envs[uid]) as liar:
                assert liar.stdout.readline() == "ready\n"
                said = users.said(0, STOP.format(run="f0f0f0f0"))
                assert said.startswith(f"StateError process {other.pid} is not the supervisor")
                assert os.listdir(place) == []
                assert other.poll() is None
                liar.kill()
            other.kill()
