"""Who really holds an environment: the processes that keep its lease, not the one that took it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from tests.capabilities import USER_A, USER_B
from tests.conftest import run_genvx
from tests.helpers import child_of, job, start_genvx, until


@pytest.fixture
def spawned():
    """Pids that are killed when the test ends."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def environment():
    (env,) = LocalHost().snapshot(holders=True).environments
    return env


def left_behind(tmp_path, spawned):
    """An environment whose command has ended, and the pid of the job that it left."""
    line, pid = job(tmp_path)
    assert run_genvx("run", "-g", "1", "--name", "left", "--", "sh", "-c", line).returncode == 0
    spawned.append(pid())
    return spawned[-1]


def test_a_job_that_outlives_its_command_is_the_holder(state, tmp_path, spawned):
    pid = left_behind(tmp_path, spawned)
    until(lambda: environment().outlived, "the command has ended")
    env = environment()
    assert [(each.pid, each.command.split()[0], each.certain) for each in env.holders] == [
        (pid, "sleep", True)
    ]
    row = run_genvx("envs", "--csv").stdout.splitlines()[1]
    assert row.endswith(f",{pid}")
    (host,) = json.loads(run_genvx("envs", "--json").stdout)["hosts"]
    assert host["environments"][0]["pids"] == [pid]


def test_doctor_names_what_keeps_devices_after_their_shell(state, tmp_path, spawned):
    pid = left_behind(tmp_path, spawned)
    until(lambda: environment().outlived, "the command has ended")
    lines = run_genvx("doctor").stdout.splitlines()
    (line,) = [line for line in lines if f"held by {pid} (sleep)" in line]
    assert line.split()[:2] == ["leases", "warning:"]
    assert f"genvx release {environment().id} gives them back" in line


def test_status_shows_each_holder_and_that_the_shell_has_ended(
    state, tmp_path, spawned, monkeypatch
):
    pid = left_behind(tmp_path, spawned)
    until(lambda: environment().outlived, "the command has ended")
    monkeypatch.setenv("GENVX_ENVIRONMENT_ID", environment().id)
    text = run_genvx("status").stdout
    assert f"held by      {pid} (sleep), started " in text
    assert "(the shell or command that took it has ended)" in text


@pytest.mark.parametrize("verb", ["status", "envs"])
def test_whoever_looks_at_the_machine_is_told_what_holds_devices_after_their_shell(
    state, tmp_path, spawned, verb
):
    pid = left_behind(tmp_path, spawned)
    until(lambda: environment().outlived, "the command has ended")
    answer = run_genvx(verb)
    text = " ".join((answer.stdout + answer.stderr).split())
    assert f"{environment().label} of " in text
    assert f"the process that took it has ended; held by {pid} (sleep), started " in text


def test_a_stopped_holder_is_shown_as_stopped(state, spawned):
    with start_genvx("run", "-g", "1", "--", "sleep", "600") as process:
        child = child_of(process.pid)
        os.kill(child, signal.SIGSTOP)
        try:
            until(lambda: any(each.stopped for each in environment().holders), "it is stopped")
            row = run_genvx("envs", "--csv", "--no-header").stdout.strip()
            assert row.endswith(f'"{process.pid}, {child} (stopped)"')
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            os.kill(child, signal.SIGKILL)


def test_who_asks_within_an_environment_is_not_told_as_its_holder(state):
    script = f"exec {os.sys.executable} -m genvx envs --csv --no-header"
    answer = run_genvx("run", "-g", "1", "--", "sh", "-c", f"{script}; true")
    assert answer.returncode == 0
    row = answer.stdout.strip()
    assert row.rpartition(",")[2].isdecimal()


def test_a_reservation_is_held_by_nobody(state):
    LocalHost().reserve(Ask(Requirements(1), lasts=600))
    assert environment().holders == ()
    assert run_genvx("envs", "--csv", "--no-header").stdout.strip().endswith(",-")


def test_a_process_that_holds_by_itself_sees_itself(state):
    with LocalHost().acquire(Ask(Requirements(1))):
        assert [each.pid for each in environment().holders] == [os.getpid()]


TAKE = """
import ctypes, os, sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().acquire(Ask(Requirements(1), name="a"))
if os.fork() == 0:
    os.setsid()
    {then}
    print(os.getpid(), flush=True)
    sys.stdin.read()
os._exit(0)
"""
SHOW = """
import json
from genvx.local.host import LocalHost
(env,) = LocalHost().snapshot(holders=True).environments
print(json.dumps(env.holders and [[h.pid, h.certain] for h in env.holders]))
"""


@pytest.fixture
def left_by_a(world, shared_state, spawned):
    """Leaves a process of user A that holds a lease; the result shows what a user sees of it."""
    env = {"GENVX_STATE_DIR": str(shared_state), "GENVX_SIMULATE": "2xA100-80GB"}
    processes = []

    def leave(then="pass"):
        process = world.start(USER_A, TAKE.format(then=then), **env)
        processes.append(process)
        spawned.append(int(process.stdout.readline()))

        def seen(uid):
            answer = world.run(uid, SHOW, **env)
            assert answer.returncode == 0, answer.stderr
            return json.loads(answer.stdout)

        return spawned[-1], seen

    yield leave
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.needs("uids")
def test_another_user_sees_only_that_somebody_holds(left_by_a):
    pid, seen = left_by_a()
    until(lambda: seen(USER_A) == [[pid, True]], "its owner sees it")
    assert seen(0) == [[pid, True]]
    assert seen(USER_B) is None


@pytest.mark.needs("uids")
def test_a_daemon_that_cannot_be_looked_into_is_told_as_such(left_by_a):
    forbid = "ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE, as ssh-agent does"
    pid, seen = left_by_a(forbid)
    until(lambda: seen(USER_A) == [[pid, False]], "its owner sees that it may")
    assert seen(0) == [[pid, True]]
