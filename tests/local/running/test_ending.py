"""`genvx release`: with --kill the processes of an environment end, and owners are told by root."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.granting import joining
from genvx.local.host import LocalHost
from genvx.local.running import guardian
from genvx.local.running.release import release
from tests.capabilities import USER_A, USER_B
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, genvx_env, job, start_genvx, start_up, until

STUBBORN = (
    "trap '' TERM HUP; echo $$ > {file}.new; mv {file}.new {file}; while :; do sleep 0.1; done"
)


@pytest.fixture
def started():
    """Processes that are killed when the test ends."""
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()


def told(path):
    """The pid that a process writes to a file."""
    until(path.exists, "it tells its pid")
    return int(path.read_text())


def test_without_kill_the_processes_go_on_and_are_named(state, tmp_path):
    line, pid = job(tmp_path)
    run_genvx("run", "-g", "1", "--name", "left", "--", "sh", "-c", line)
    try:
        answer = run_genvx("release", "left")
        assert answer.stdout.startswith("Released left (")
        assert answer.stderr == f"genvx: these processes go on: {pid()} (sleep)\n"
        assert alive(pid())
    finally:
        os.kill(pid(), signal.SIGKILL)


def test_kill_ends_a_job_that_outlived_its_command(state, tmp_path):
    line, pid = job(tmp_path)
    run_genvx("run", "-g", "1", "--name", "left", "--", "sh", "-c", line)
    assert alive(pid())
    answer = run_genvx("release", "--kill", "--json", "left")
    assert answer.stderr == ""
    (host,) = json.loads(answer.stdout)["hosts"]
    assert host["released"]["pids"] == []
    assert not alive(pid())
    assert LocalHost().snapshot().environments == ()


def test_what_ignores_term_or_is_stopped_is_killed_after_a_grace(state, tmp_path, started):
    file = tmp_path / "pid"
    started.append(start_genvx("run", "-g", "1", "--", "sh", "-c", STUBBORN.format(file=file)))
    pid = told(file)
    os.kill(pid, signal.SIGSTOP)
    host = LocalHost()
    (env,) = host.snapshot().environments
    assert release(host.store, env.id, os.getuid(), kill=True, grace=0.3).holders == ()
    assert not alive(pid)


def test_a_worker_that_has_closed_the_lease_is_ended_too(state, tmp_path, started):
    file = tmp_path / "pid"
    script = (
        "import os, sys, time; os.closerange(3, 4096);"
        f"open({str(file) + '.new'!r}, 'w').write(str(os.getpid()));"
        f"os.rename({str(file) + '.new'!r}, {str(file)!r}); time.sleep(600)"
    )
    started.append(start_genvx("run", "-g", "1", "--", sys.executable, "-c", script))
    pid = told(file)
    (env,) = LocalHost().snapshot().environments
    LocalHost().release(env.id, kill=True)
    assert not alive(pid)


def test_other_environments_and_processes_are_left_alone(state, tmp_path, started):
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    started.append(bystander)
    with LocalHost().acquire(Ask(Requirements(1), name="kept")) as kept:
        started.append(start_genvx("run", "-g", "1", "--name", "ended", "--", "sleep", "600"))
        until(lambda: len(LocalHost().snapshot().environments) == 2, "both are there")
        assert run_genvx("release", "--kill", "ended").returncode == 0
        assert started[-1].wait(timeout=20) != 0
        assert [env.id for env in LocalHost().snapshot().environments] == [
            kept.grant.environment_id
        ]
    assert bystander.poll() is None


@pytest.mark.needs("bash")
def test_a_shell_that_was_activated_in_place_lives_on_without_its_environment(state, tmp_path):
    start_up(tmp_path, ".bashrc", 'eval "$(genvx shell-init bash)"\nPS1="ready> "\n')
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    terminal = Terminal(["bash", "-i"], genvx_env(HOME=str(tmp_path), PATH=path))
    terminal.expect("ready> ")
    terminal.line("genvx activate -g 1 --name here")
    terminal.expect("(genvx here) ready> ")
    terminal.line("sleep 600 & echo job $!.")
    worker = int(terminal.match(r"job (\d+)\.")[1])
    assert run_genvx("release", "--kill", "here").returncode == 0
    assert not alive(worker)
    terminal.line("")
    terminal.expect("the environment of this shell has ended")
    terminal.line("echo devices:${CUDA_VISIBLE_DEVICES-none}.")
    terminal.expect("devices:none.")
    terminal.line("exit")
    terminal.end()


def test_a_guardian_stands_for_its_shell_and_ends_without_it(state, started):
    shell = subprocess.Popen(["sleep", "600"], start_new_session=True)
    started.append(shell)
    host = LocalHost()
    with host.acquire(Ask(Requirements(1))) as hold:
        environment = hold.grant.environment_id
        held = joining.join(host, environment, command="fish", pid=shell.pid)
        guardian.guard(held.descriptor, shell.pid)
        held._held.abandon()
    until(lambda: len(host.snapshot().leases) == 1, "we have let go")
    (env,) = host.snapshot(holders=True).environments
    assert [each.pid for each in env.holders] == [shell.pid]
    assert host.release(environment, kill=True).holders == ()
    assert host.snapshot().environments == ()
    assert shell.poll() is None


@pytest.mark.needs("uids")
def test_who_was_given_the_lease_by_somebody_else_is_not_ended(state):
    # A service that takes descriptors over a socket must not be ended with whoever sends it one.
    hold = LocalHost().acquire(Ask(Requirements(1)))
    service = subprocess.Popen(
        ["sleep", "600"], user=USER_B, group=USER_B, extra_groups=[], pass_fds=[hold.descriptor]
    )
    try:
        LocalHost().release(hold.grant.environment_id, kill=True)
        assert service.poll() is None
    finally:
        service.kill()
        service.wait()


ON_A_TERMINAL = """
import os, sys, time
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
from genvx.core import escalation
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().acquire(Ask(Requirements(1), name="train"))
print(hold.grant.environment_id, flush=True)
time.sleep(600)
"""


@pytest.mark.needs("uids")
def test_the_owner_is_told_on_the_terminal_when_root_releases(world, shared_state, monkeypatch):
    env = {"GENVX_STATE_DIR": str(shared_state), "GENVX_SIMULATE": "2xA100-80GB"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    master, slave = os.openpty()
    os.chown(os.ttyname(slave), USER_A, -1)
    process = subprocess.Popen(
        [*world.command(ON_A_TERMINAL), os.ttyname(slave)],
        user=USER_A,
        group=USER_A,
        extra_groups=[],
        env=world.environ(**env),
        cwd="/",
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        environment = process.stdout.readline().strip()
        refused = world.run(
            USER_B,
            "from genvx.local.host import LocalHost\n"
            "from genvx.errors import NotOwner\n"
            f"try: LocalHost().release('{environment}', kill=True)\n"
            "except NotOwner: print('refused')\n",
            **env,
        )
        assert refused.stdout == "refused\n"
        assert process.poll() is None
        answer = run_genvx("release", "train", "--kill")
        assert answer.returncode == 0, answer.stderr
        assert process.wait(timeout=20) == -signal.SIGTERM
        os.set_blocking(master, False)
        text = os.read(master, 4096).decode()
        assert f"genvx: root has released the environment train ({environment})" in text
        assert f"({environment}) and ends its processes" in text
    finally:
        process.kill()
        process.communicate()
        os.close(master)
        os.close(slave)
