"""Runs as a person has them: started, watched, left, found again and stopped, here and over SSH."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys

import pexpect
import pytest

from genvx.local.runs import tree
from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    end_all_of,
    genvx_argv,
    genvx_env,
    start_genvx,
    states_on_hosts,
    until,
)

ID = re.compile(r"[0-9a-f]{8}\n")


@pytest.fixture
def runs(state, short_tmp, monkeypatch):
    """A directory of our own for runs; none lives on behind the test."""
    place = short_tmp / "runs"
    monkeypatch.setenv("GENVX_RUNS_DIR", str(place))
    yield place
    end_all_of(short_tmp)


@pytest.fixture
def hosts(sandbox):
    """Two hosts over SSH."""
    return sandbox


def started(*words, remote=False):
    answer = run_genvx(*(["remote"] if remote else []), "run", "-d", *words)
    assert ID.fullmatch(answer.stdout), answer.stderr
    # What people are to type stands on a line of its own, which a terminal does not wrap.
    genvx = "genvx remote" if remote else "genvx"
    assert f"genvx: to see its output: {genvx} watch {answer.stdout}" in answer.stderr
    assert f"genvx: to end it: {genvx} runs stop {answer.stdout}" in answer.stderr
    return answer.stdout.strip()


def rows(*words):
    remote = [word for word in words if word == "remote"]
    listed = run_genvx(*remote, "runs", "--csv", "--no-header", *words[len(remote) :])
    assert listed.returncode == 0, listed.stderr
    return [line.split(",") for line in listed.stdout.splitlines()]


def test_a_detached_run_is_listed_watched_and_ends_with_its_code(runs):
    run = started("-g", "1", "-n", "train", "--run-tag", "base", "--", "sh", "-c", "echo a; exit 4")
    watched = run_genvx("watch", "train")
    assert (watched.stdout, watched.returncode) == ("a\n", 4)
    ((listed, name, state, gpus, _, _, code),) = rows()
    assert (listed, name, state, gpus, code) == (run, "train", "failed", "1", "4")
    info = run_genvx("runs", "info").stdout
    assert "failed, exit code 4" in info
    assert "tags:       base" in info
    assert run_genvx("logs", "-n", "1", run).stdout == "a\n"


def test_of_a_run_that_only_keeps_its_gpus_no_process_goes_on_after_its_release(runs):
    run = started("-g", "1", "--hold", "1h", "--", "true")
    until(lambda: rows()[0][2] == "held")
    released = run_genvx("release", run)
    assert (released.returncode, released.stderr) == (0, "")
    until(lambda: rows()[0][2] == "completed")


def test_a_local_run_starts_in_our_directory(runs, tmp_path):
    started("--env", "A=b c", "--", "sh", "-c", 'echo "$PWD $A"')
    assert run_genvx("watch").stdout == f"{tmp_path} b c\n"


def test_somebody_is_told_of_the_end_by_a_command_of_theirs(runs, tmp_path):
    told, program = tmp_path / "told", tmp_path / "tell"
    program.write_text(f'#!/bin/sh\necho "$GENVX_NOTIFY_TEXT" > {told}.new\nmv {told}.new {told}\n')
    program.chmod(0o755)
    started("-n", "$(x)", "-g", "1", "--notify", f"command:{program}", "--", "sh", "-c", "exit 3")
    until(told.exists)
    said = re.fullmatch(
        r"genvx: run \$\(x\) \([0-9a-f]+\) failed with exit code 3 after \S+ s on \S+, GPU 0\n",
        told.read_text(),
    )
    assert said
    assert run_genvx("runs", "info").stdout.count(f"tells:      command:{program}\n") == 1


def test_ctrl_c_leaves_a_run_running_and_says_how_to_come_back(runs):
    run = started("--", "sh", "-c", "echo ready; exec sleep 1000")
    watching = start_genvx("watch", run)
    assert watching.stdout.readline() == "ready\n"
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate()
    assert watching.returncode == 130
    assert f"run {run} goes on; genvx watch {run} shows it again" in said
    assert rows()[0][2] == "running"
    stopped = run_genvx("runs", "stop", run)
    assert stopped.stdout == f"Stopped run {run}\n"
    assert rows()[0][2] == "stopped"


def test_a_failed_run_is_held_until_it_is_released_and_keeps_its_code(runs):
    run = started("-g", "2", "--hold", "1m:on-failure", "--", "sh", "-c", "exit 5")
    until(lambda: rows()[0][2] == "held")
    watched = run_genvx("watch", run)
    assert watched.returncode == 5
    assert f"run {run} keeps its GPUs for 60 s, for a look: genvx ssh {run}" in watched.stderr
    assert run_genvx("run", "-g", "1", "--", "true").returncode == 3
    assert run_genvx("release", run).returncode == 0
    until(lambda: rows()[0][2::4] == ["failed", "5"])
    assert run_genvx("run", "-g", "2", "--", "true").returncode == 0


def test_what_we_add_to_a_log_begins_a_line(runs):
    started("--", "sh", "-c", "printf bar; sleep 600 & exit 0")
    run_genvx("watch")
    assert run_genvx("logs").stdout.splitlines()[0] == "bar"


def test_several_runs_are_meant_by_what_they_were_before_the_first_was_touched(runs):
    first, second = started("--", "true"), started("--", "true")
    until(lambda: [row[2] for row in rows()] == ["completed"] * 2)
    assert run_genvx("runs", "delete", "1", "2").returncode == 0
    assert rows() == []
    assert run_genvx("runs", "restore", first).returncode == 0
    assert run_genvx("runs", "purge", "1").stdout == f"Purged run {second}\n"
    assert [row[0] for row in rows()] == [first]


def test_all_runs_that_are_alive_are_stopped_at_once_or_those_with_a_tag(runs):
    ignores = 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    one, two = (started("--run-tag", "x", "--", "sh", "-c", ignores) for _ in range(2))
    other = started("-g", "1", "--", "sleep", "1000")
    over = started("--run-tag", "x", "--", "true")
    until(lambda: {row[0]: row[2] for row in rows()}[over] == "completed")
    answer = run_genvx("runs", "stop", "--tag", "x", "--grace", "1s")
    assert sorted(answer.stdout.split()) == sorted(["Stopped", "run", one, "Stopped", "run", two])
    assert {row[0]: row[2] for row in rows()}[other] == "running"
    assert run_genvx("runs", "stop", "--all").stdout == f"Stopped run {other}\n"
    # Its GPU is free when that returns.
    assert run_genvx("run", "-g", "2", "--", "true").returncode == 0
    again = run_genvx("runs", "stop", "--all")
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == "genvx: no run of yours is alive\n"


def test_a_table_of_runs_fits_80_columns_and_says_why_a_run_waits(runs):
    started("-g", "2", "-n", "n" * 60, "--", "sleep", "1000")
    waits = started("-g", "1", "--wait", "--", "true")
    environ = {**genvx_env(), "NO_COLOR": "1"}  # colours take no room
    terminal = Terminal(genvx_argv("runs"), environ, size=(24, 80))
    terminal.child.expect(pexpect.EOF)
    lines = terminal.child.before.splitlines()
    assert lines[0].split() == ["ID", "NAME", "STATE", "GPUS", "SUBMITTED", "TOOK", "EXIT"]
    assert max(map(len, lines)) <= 80
    assert f"run {waits} waits in line: place 1 (0 of 1 available)" in lines


def test_to_detach_and_to_watch_is_to_see_it_at_once_and_to_end_with_its_code(runs):
    answer = run_genvx("run", "-d", "-w", "--", "sh", "-c", "echo a; kill -TERM $$")
    run, *log = answer.stdout.splitlines()
    assert (log, answer.returncode) == (["a"], 143)
    client = start_genvx("run", "-d", "-w", "--", "sh", "-c", "echo ready; exec sleep 1000")
    assert client.stdout.readline() != run
    assert client.stdout.readline() == "ready\n"
    client.send_signal(signal.SIGINT)
    _, said = client.communicate()
    assert client.returncode == 130
    assert said.endswith(" shows it again\n")
    assert rows()[0][2] == "running"


def test_what_differs_between_runs_is_shown_and_no_value_that_may_be_a_secret(runs):
    secret, other = "s3cr3t-one", "s3cr3t-two"
    one = started("--env", f"API_TOKEN={secret}", "--env", "LR=0.1", "--", "sh", "-c", "exit 1")
    two = started("--env", f"API_TOKEN={other}", "--env", "LR=0.2", "--", "sh", "-c", "exit 2")
    until(lambda: [row[2] for row in rows()] == ["failed", "failed"])
    compared = run_genvx("runs", "compare", one, two, "--csv").stdout.splitlines()
    assert compared[0] == f",{one},{two}"
    assert {"command,sh -c 'exit 1',sh -c 'exit 2'", "exit code,1,2"} <= set(compared)
    assert {"$API_TOKEN,value 1,value 2", "$LR,value 1,value 2"} <= set(compared)
    asked = [run_genvx("runs", "compare", one, two, *more) for more in (["--values"], ["--json"])]
    assert "0.1" in asked[0].stdout
    assert '"0.1"' not in asked[1].stdout
    assert not any(word in each.stdout for each in asked for word in (secret, other))
    alone = run_genvx("runs", "compare", one, one)
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "name two runs or more" in alone.stderr


def test_a_run_is_named_also_when_its_id_cannot_be_written(runs):
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            genvx_argv("run", "-d", "--", "sleep", "60"),
            env=genvx_env(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    (name,) = os.listdir(runs)
    assert answer.returncode == 1
    assert f"genvx: to end it: genvx runs stop {name}\n" in answer.stderr
    run_genvx("runs", "stop", name)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "-w", "--", "true"], "genvx: --watch goes with --detach"),
        (
            ["run", "--tty", "--debug-key-file", "/no/such", "--", "true"],
            "genvx: --tty and --debug-key-file go with --detach",
        ),
        (["run", "-d", "--debug-key-file", "/no/such", "--", "true"], "genvx: --debug-key-file"),
        (["runs", "move", "1"], "a run moves among the hosts of genvx remote"),
        (["runs", "compare", "1", "2", "--values", "--json"], "--json never has the values"),
        (["runs", "stop"], "give RUN, --all or --tag TAG"),
        (["runs", "stop", "1", "--all"], "give RUN, --all or --tag TAG"),
        (["run", "--hold", "1h", "--", "true"], "--hold goes with --detach"),
        (["run", "-d", "--hold", "1h:never", "--", "true"], "--hold is a time"),
        (["run", "-d", "--env", "A", "--", "true"], "--env is NAME=VALUE"),
        (["run", "-d", "-C", "/no/such", "--", "true"], "no such directory: /no/such"),
        (["run", "-d", "--id", "x", "--", "true"], "--id joins an environment"),
        (["watch", "nope"], "no run 'nope'; genvx runs -a lists all"),
        (["watch"], "there are no runs"),
        *((["runs", verb, ""], "RUN is empty") for verb in ("stop", "delete", "info", "restart")),
        (["runs", "stop", "1", ""], "RUN is empty"),
        (["watch", ""], "RUN is empty"),
        (["runs", "label", "1", "x" * 200], "a name has at most 128 characters"),
        (["runs", "tag", "1", "x" * 200], "a tag has 1 to 128 printable characters"),
        (["runs", "tag", "--", "1", "-"], "a tag has 1 to 128 printable characters"),
        (["runs", "stop", "nope"], "no run 'nope'"),
        (["runs", "purge", "nope"], "no run 'nope' in the trash; genvx runs --deleted lists all"),
        (["runs", "-s", "gone"], "no state 'gone'"),
        (["sbatch", "x"], "genvx run --detach"),
        (["scancel", "1"], "genvx runs stop RUN"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(runs, words, said):
    answer = run_genvx(*words)
    assert answer.returncode == 2
    assert said in answer.stderr.splitlines()[-1]
    assert not runs.exists() or os.listdir(runs) == []


def end_sessions(sandbox):
    """Kill the processes of sshd for our connections, and the agent below them."""
    for server in sandbox.servers:
        for pid in tree.descendants(server.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.needs("openssh")
def test_a_run_outlives_its_client_the_agent_and_the_sessions_of_sshd(
    hosts, short_tmp, monkeypatch
):
    """Also somebody who watches it gets each line once, in order, through cut connections; and it
    is listed on another machine.
    """
    go = short_tmp / "go"
    line = f"echo first; until [ -e {go} ]; do sleep 0.01; done; seq 2000; exit 9"
    client = start_genvx("remote", "run", "-d", "-g", "1", "--", "sh", "-c", line)
    run = client.stdout.readline().strip()
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
    watching = subprocess.Popen(
        [sys.executable, "-m", "genvx", "remote", "watch", run],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert watching.stdout.readline() == b"first\n"
    end_sessions(hosts)
    said = watching.stderr.readline()
    assert b"connecting again" in said
    go.touch()
    out, _ = watching.communicate()
    assert out.split() == [b"%d" % number for number in range(1, 2001)]
    assert watching.returncode == 9
    elsewhere = short_tmp / "another-home"
    elsewhere.mkdir()
    monkeypatch.setenv("HOME", str(elsewhere))
    assert [row[:4] for row in rows("remote")] == [["gpu-server-1", run, "", "failed"]]


@pytest.mark.needs("openssh")
def test_remotely_a_run_waits_where_it_may_start_soonest_and_is_stopped_there(hosts):
    one, two = (started("-g", n, "--", "sleep", "1000", remote=True) for n in ("1", "2"))
    waits = started("-g", "2", "--wait", "--", "true", remote=True)
    by_id = {row[1]: row for row in rows("remote")}
    assert by_id[waits][::3] == ["gpu-server-2", "waiting", ""]
    stopped = run_genvx("remote", "runs", "stop", two)
    assert stopped.stdout == f"Stopped run {two} on gpu-server-2\n"
    until(lambda: states_on_hosts(waits) == ["completed"])
    assert states_on_hosts(one) == ["running"]


@pytest.mark.needs("openssh")
def test_a_remote_run_starts_in_its_own_directory_or_one_below_the_home(hosts):
    started("--", "sh", "-c", "pwd", remote=True)
    assert run_genvx("remote", "watch").stdout.endswith("/work\n")
    started("-C", ".", "--", "sh", "-c", "pwd", remote=True)
    assert run_genvx("remote", "watch").stdout.endswith("/home\n")
    run = started("--", "sleep", "600", remote=True)
    deleted = run_genvx("remote", "runs", "delete", run)
    assert re.fullmatch(
        rf"gpu-server-\d: input: run {run} is running; end it first, with runs stop\n",
        deleted.stderr,
    )
    refused = run_genvx("remote", "run", "-d", "-C", "no/such", "--", "true")
    assert refused.returncode == 2
    assert re.search("no such directory: /.*/home/no/such\n", refused.stderr)
    unknown = run_genvx("remote", "watch", "nope")
    assert "no run 'nope'; genvx remote runs -a lists all" in unknown.stderr
