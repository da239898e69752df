"""Guests of a run: its end is announced to them, and they are ended after the grace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.core.runs.runstate import name_of
from genvx.local.runs import lock
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, end, genvx_argv, genvx_env, start_genvx, start_up, until
from tests.local.runs.test_runs import asked, ends_as, free, shell, state_of

# A command that tells its pid once it is deaf to those who ask, and does not end.
DEAF = "trap '' TERM HUP; echo $$ > {file}.new; mv {file}.new {file}; while :; do sleep 0.1; done"
# One that forks twice, out of its session, and closes all that it has inherited.
_AWAY = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 4096)
        with open(sys.argv[1] + ".new", "w") as file: file.write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(600)
    os._exit(0)
"""


@pytest.fixture
def enter(short_tmp, monkeypatch):
    """Opens shells in runs, in terminals as people have them."""
    monkeypatch.setenv("SHELL", "/bin/bash")
    home = short_tmp / "home"
    start_up(home, ".bashrc", "PS1='$ '\n")
    made = []

    def open_shell(run):
        env = genvx_env(HOME=str(home))
        made.append(Terminal(genvx_argv("activate", "--id", run.id), env))
        made[-1].line("echo in $GENVX_RUN_ID $GENVX_ENVIRONMENT_ID")
        made[-1].expect(f"{run.id}\r\n")
        return made[-1]

    yield open_shell
    for each in made:
        each.child.close(force=True)


@pytest.fixture
def started():
    """Starts genvx; what is left of it is killed when the test ends."""
    made = []

    def begin(*arguments):
        made.append(start_genvx(*arguments))
        return made[-1]

    yield begin
    for each in made:
        end(each)


@pytest.fixture
def start_in(started):
    """Starts a line of sh in a run."""
    return lambda run, line: started("run", "--id", run.id, "--", "sh", "-c", line)


def pid_in(file: Path) -> int:
    until(file.exists, f"{file.name} is told")
    return int(file.read_text())


def going_on(short_tmp, **more):
    """A run that ends with exit code 7 once the file that comes with it is there."""
    go = short_tmp / f"go-{os.urandom(4).hex()}"
    return shell(f"until [ -e {go} ]; do sleep 0.01; done; exit 7", **more), go


def test_a_shell_in_a_run_reads_that_it_is_over_and_ends_after_the_grace(
    host, start, catalog, enter, started, start_in, short_tmp
):
    spec, go = going_on(short_tmp, grace=3.0, name="train")
    run = start(spec)
    terminal = enter(run)
    watching = started("watch", run.id)
    go.touch()
    # Whoever watches has the end at once.
    assert watching.wait(timeout=45) == 7
    assert state_of(catalog, run) == "held"
    terminal.expect(
        f"genvx: run {run.id} (train) is over: exit code 7; everything in it ends in 3 s"
    )
    terminal.line("echo still $((1 + 1)) here")
    terminal.expect("still 2 here")
    assert terminal.end() != 0
    assert ends_as(catalog, run, "failed").state.end.exit_code == 7
    assert free(host) == 2


def test_guests_that_ignore_signals_or_leave_their_session_are_killed(
    host, start, catalog, started, start_in, short_tmp
):
    spec, go = going_on(short_tmp, grace=0.3)
    run = start(spec)
    deaf, away = short_tmp / "deaf", short_tmp / "away"
    client = start_in(run, DEAF.format(file=deaf))
    started("run", "--id", run.id, "--", sys.executable, "-c", _AWAY, str(away)).wait(45)
    pids = pid_in(deaf), pid_in(away)
    go.touch()
    ends_as(catalog, run, "failed")
    assert not any(map(alive, pids))
    # The client is one of them: it holds the devices for its command.
    assert client.wait(timeout=45) in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert free(host) == 2


@pytest.mark.parametrize("force", [False, True])
def test_stop_ends_guests(host, start, catalog, start_in, short_tmp, force):
    run = start(asked("sleep", "1000", grace=0.3))
    deaf = short_tmp / "deaf"
    start_in(run, DEAF.format(file=deaf))
    pid = pid_in(deaf)
    catalog.stop(run.id, force=force)
    ends_as(catalog, run, "stopped")
    assert not alive(pid)
    assert free(host) == 2


def test_stop_ends_and_tells_the_guests_of_a_run_whose_supervisor_was_killed(
    host, start, catalog, enter, started, start_in, short_tmp
):
    run = start(asked("sleep", "1000", grace=0.3))
    terminal = enter(run)
    deaf = short_tmp / "deaf"
    start_in(run, DEAF.format(file=deaf))
    pid = pid_in(deaf)
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(supervisor.pid))
    catalog.stop(run.id)
    terminal.expect(f"genvx: run {run.id} is over: stopped (asked)")
    terminal.end()
    ends_as(catalog, run, "lost")
    assert not alive(pid)
    assert free(host) == 2


def test_guests_end_when_the_time_of_their_run_is_over(host, start, catalog, short_tmp):
    run = start(asked("sleep", "1000", grace=0.3, seconds=3))
    deaf = short_tmp / "deaf"
    # What makes it a guest is this variable. To start genvx may take as long as the run lasts.
    inside = {**os.environ, "GENVX_ENVIRONMENT_ID": run.id}
    guest = subprocess.Popen(["sh", "-c", DEAF.format(file=deaf)], env=inside)
    pid = pid_in(deaf)
    assert guest.wait(timeout=45) == -signal.SIGKILL
    assert ends_as(catalog, run, "stopped").state.why.value == "time"
    assert not alive(pid)
    assert free(host) == 2


def test_a_stop_hurries_guests_that_have_their_grace(host, start, catalog, start_in, short_tmp):
    spec, go = going_on(short_tmp, grace=600.0)
    run = start(spec)
    deaf = short_tmp / "deaf"
    start_in(run, DEAF.format(file=deaf))
    pid = pid_in(deaf)
    go.touch()
    ends_as(catalog, run, "held")
    catalog.stop(run.id, 0.2)
    assert ends_as(catalog, run, "failed").state.end.exit_code == 7
    assert not alive(pid)


def test_a_held_run_keeps_its_guests_until_it_is_released(
    host, start, catalog, start_in, short_tmp
):
    spec, go = going_on(short_tmp, grace=0.3, hold=600)
    run = start(spec)
    deaf = short_tmp / "deaf"
    start_in(run, DEAF.format(file=deaf))
    pid = pid_in(deaf)
    go.touch()
    ends_as(catalog, run, "held")
    assert alive(pid)
    host.release(run.id)
    ends_as(catalog, run, "failed")
    assert not alive(pid)
    assert free(host) == 2


def test_guests_of_another_run_and_a_run_that_was_started_inside_are_left_alone(
    host, start, catalog, start_in, short_tmp
):
    (spec, go), other = going_on(short_tmp, grace=0.2), start(asked("sleep", "1000"))
    run = start(spec)
    deaf, guest = short_tmp / "deaf", short_tmp / "guest"
    start_in(other, DEAF.format(file=deaf))
    inside = subprocess.list2cmdline(genvx_argv("run", "-d", "-g", "0", "--", "sleep", "1000"))
    start_in(run, f"{inside} > {guest}.new && mv {guest}.new {guest}").wait(45)
    until(guest.exists)
    go.touch()
    ends_as(catalog, run, "failed")
    assert alive(pid_in(deaf))
    assert state_of(catalog, other) == "running"
    assert name_of(catalog.find(guest.read_text().strip()).state) == "running"


def test_a_shell_that_was_activated_in_place_lives_on_without_the_gpus(
    host, start, catalog, start_in, short_tmp
):
    home = short_tmp / "home"
    start_up(home, ".bashrc", "PS1='$ '\n" + run_genvx("shell-init", "bash").stdout)
    spec, go = going_on(short_tmp, grace=0.3)
    run = start(spec)
    script = short_tmp / "genvx"
    script.write_text("#!/bin/sh\nexec " + subprocess.list2cmdline(genvx_argv()) + ' "$@"\n')
    script.chmod(0o755)
    env = genvx_env(HOME=str(home), PATH=f"{short_tmp}:{os.environ['PATH']}")
    terminal = Terminal(["bash", "--norc", "-i"], env)
    terminal.line(f". {home}/.bashrc; genvx activate --id {run.id}")
    terminal.line("echo $GENVX_ENVIRONMENT_ID is here")
    terminal.expect(f"{run.id} is here\r\n")
    go.touch()
    terminal.expect(f"genvx: run {run.id} is over: exit code 7")
    ends_as(catalog, run, "failed")
    until(lambda: free(host) == 2)
    terminal.line("")
    terminal.expect("genvx: the environment of this shell has ended")
    terminal.line("echo alive, ${GENVX_ENVIRONMENT_ID:-not} in one")
    terminal.expect("alive, not in one\r\n")
    terminal.line("exit")
    terminal.end()
