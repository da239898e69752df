"""Runs on several hosts at once that go on without their client: they start together, and the first
failure ends all.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.core.runs.runstate import is_over
from genvx.local import processes
from tests.cli.runs.test_runs import end_sessions, rows
from tests.conftest import run_genvx
from tests.helpers import (
    genvx_argv,
    genvx_env,
    held_on_hosts,
    runs_on_hosts,
    start_genvx,
    states_on_hosts,
    until,
)

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def hosts(make_sandbox):
    """Two hosts with two GPUs each."""
    return make_sandbox("2", "2")


def detached(*words):
    answer = run_genvx("remote", "run", "-d", "-N", "2", "-g", "2", *words)
    assert re.fullmatch(r"[0-9a-f]{8}\n", answer.stdout), answer.stderr
    return answer.stdout.strip()


def parts():
    """The parts of runs as their hosts show them, by rank."""
    shown = run_genvx("remote", "runs", "--json")
    found = [each for host in json.loads(shown.stdout)["hosts"] for each in host["runs"]]
    return sorted(found, key=lambda each: each["part"]["rank"])


def supervisors(run):
    """The pids of the living supervisors of a run, on all hosts."""
    found = []
    for pid in processes.pids():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == f"genvx-{run}\n":
                found.append(pid)
        except OSError:
            pass
    return sorted(found)


def directories(hosts, run):
    return [
        Path(host.home, ".local/share/genvx/runs", f"{run}.{rank}")
        for rank, host in enumerate(hosts.hosts)
    ]


def test_a_detached_gang_is_one_row_and_one_run(hosts):
    line = "echo $NODE_RANK/$NNODES $GENVX_NODES $WORLD_SIZE $MASTER_ADDR; exit 0"
    run = detached("-n", "train", "--run-tag", "t", "--", "sh", "-c", line)
    watched = run_genvx("remote", "watch", "train")
    nodes = "gpu-server-1,gpu-server-2 4 127.0.0.1"
    assert sorted(watched.stdout.splitlines()) == [
        f"gpu-server-1 | 0/2 {nodes}",
        f"gpu-server-2 | 1/2 {nodes}",
    ]
    assert watched.returncode == 0
    until(lambda: states_on_hosts(run) == ["completed"] * 2)
    ((host, identifier, name, state, gpus, _, _, code),) = rows("remote")
    assert (host, identifier, name) == ("gpu-server-1 +1", run, "train")
    assert (state, gpus, code) == ("completed", "4", "0")
    info = run_genvx("remote", "runs", "info", "1").stdout
    assert "2 GPUs on each of 2 hosts" in info
    assert "    1  gpu-server-2  completed, exit code 0" in info
    until(lambda: supervisors(run) == [])
    until(lambda: held_on_hosts() == [])
    assert run_genvx("remote", "runs", "label", run, "best").returncode == 0
    assert len(run_genvx("remote", "runs", "delete", "best").stdout.splitlines()) == 2
    assert rows("remote") == []
    assert run_genvx("remote", "runs", "restore", run).returncode == 0
    assert run_genvx("remote", "runs", "delete", run).returncode == 0
    assert run_genvx("remote", "runs", "purge", run).returncode == 0


def test_who_watches_a_gang_leaves_it_where_the_output_cannot_be_written_or_is_not_read(hosts):
    run = detached("--", "sh", "-c", "echo a; exec sleep 60")
    until(lambda: states_on_hosts(run) == ["running"] * 2)
    watch = genvx_argv("remote", "watch", run)
    with open("/dev/full", "w") as full:
        answer = subprocess.run(
            watch, env=genvx_env(), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False
        )
    said = b"genvx: cannot write the output: No space left on device\n"
    assert (answer.returncode, answer.stderr) == (1, said)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        answer = subprocess.run(
            watch, env=genvx_env(), stdout=writer, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(writer)
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert states_on_hosts(run) == ["running"] * 2


def test_the_first_failure_ends_all_when_client_and_sessions_were_killed(hosts, short_tmp):
    go = short_tmp / "go"
    line = (
        f"if [ $NODE_RANK = 1 ]; then until [ -e {go} ]; do sleep 0.01; done; exit 7; fi;"
        "exec sleep 1000"
    )
    client = start_genvx("remote", "run", "-d", "-N", "2", "-g", "2", "--", "sh", "-c", line)
    run = client.stdout.readline().strip()
    os.killpg(client.pid, signal.SIGKILL)
    client.communicate()
    end_sessions(hosts)
    assert states_on_hosts(run) == ["running"] * 2
    go.touch()
    until(lambda: states_on_hosts(run) == ["stopped", "failed"])
    assert [part["reason"] for part in parts()] == ["gang", None]
    ((_, _, _, state, _, _, _, code),) = rows("remote")
    assert (state, code) == ("failed", "7")
    # The part that failed decides what the row says, also when a host was asked for others.
    assert [row[3] for row in rows("remote", "-s", "failed")] == ["failed"]
    assert rows("remote", "-s", "stopped") == []
    assert run_genvx("remote", "logs", run).returncode == 7
    until(lambda: held_on_hosts() == [])
    assert supervisors(run) == []


def test_when_a_supervisor_is_killed_the_other_parts_end(hosts):
    run = detached("--", "sleep", "1000")
    of_rank = {}
    for pid in supervisors(run):
        links = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
        rank = next(n for n, d in enumerate(directories(hosts, run)) if f"{d}/log" in links)
        of_rank[rank] = pid
    os.kill(of_rank[0], signal.SIGKILL)
    # Not by asking the hosts: it takes half a minute, and each question is an SSH login on both.
    log, said = (
        directories(hosts, run)[1] / "log",
        "node 0 (gpu-server-1) is not connected any more",
    )
    until(lambda: said in log.read_text(), patience=60)
    until(lambda: states_on_hosts(run)[1] == "stopped")
    row = rows("remote")[0]
    assert row[3] == "running?", row  # its command is still there, and shown
    assert run_genvx("remote", "runs", "stop", run).returncode == 0
    until(lambda: held_on_hosts() == [])


def test_stop_ends_all_parts(hosts):
    run = detached("--", "sleep", "1000")
    stopped = run_genvx("remote", "runs", "stop", run)
    assert stopped.stdout.splitlines() == [
        f"Stopped run {run} on gpu-server-1",
        f"Stopped run {run} on gpu-server-2",
    ]
    assert rows("remote")[0][3] == "stopped"
    assert held_on_hosts() == []


def test_parts_that_cannot_reach_node_0_say_so_and_run_alone(hosts):
    # An address to which nobody connects: it is of a group of hosts.
    answer = run_genvx(
        *("remote", "run", "-d", "-N", "2", "-g", "1", "--master-addr", "224.0.0.1"),
        *("--", "sh", "-c", "[ $NODE_RANK = 1 ] || exit 3; exec sleep 1000"),
    )
    run = answer.stdout.strip()
    assert "gpu-server-2 cannot connect to gpu-server-1 (224.0.0.1)" in answer.stderr
    until(lambda: states_on_hosts(run) == ["failed", "running"])
    log = (directories(hosts, run)[1] / "log").read_text()
    assert "genvx: cannot reach node 0 at 224.0.0.1" in log
    assert "node 1 (gpu-server-2) is not connected" in (
        directories(hosts, run)[0] / "log"
    ).read_text()  # fmt: skip


def test_where_one_host_refuses_nothing_is_left_on_the_others(hosts):
    Path(hosts.hosts[0].home, "here").mkdir()
    answer = run_genvx("remote", "run", "-d", "-N", "2", "-g", "2", "-C", "here", "--", "true")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "gpu-server-2: no such directory: " in answer.stderr
    assert rows("remote") == []
    until(lambda: held_on_hosts() == [])


_CLIENT = """
import os, signal, sys
from genvx.fleet.detaching import rungang
from genvx.fleet.sshhost import SSHHost

rungang.GO_WITHIN = 3.0
number, kind, host, when = sys.argv[1:5]
answer = SSHHost.answer

def dying(self, operation, **more):
    meant = type(operation).__name__ == kind and self.name == host
    meant = meant and getattr(operation, "start", True)  # not when it is withdrawn
    if meant and when == "before":
        os.kill(os.getpid(), int(number))
    found = answer(self, operation, **more)
    if meant and when == "after":
        os.kill(os.getpid(), int(number))
    return found

SSHHost.answer = dying
from genvx.cli.main import main
sys.argv = ["genvx", *sys.argv[5:]]
main()
"""


def dying_client(number, kind, host, when, *words):
    """A client that gets a signal before or after it has asked a host this."""
    words = ("remote", "run", "-d", "-N", "2", "-g", "1", "-n", f"{kind} {host} {when}", *words)
    return subprocess.Popen(
        [sys.executable, "-c", _CLIENT, str(int(number)), kind, host, when, *words],
        env=genvx_env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_a_client_that_is_killed_before_the_word_to_start_leaves_nothing_that_runs(
    make_sandbox, short_tmp
):
    make_sandbox("4", "4")
    ran = short_tmp / "ran"
    clients = [
        dying_client(signal.SIGKILL, *point, "--", "sh", "-c", f"touch {ran}; exec sleep 1000")
        for point in [
            ("SubmitPart", "gpu-server-1", "before"),
            ("SubmitPart", "gpu-server-1", "after"),
            ("SubmitPart", "gpu-server-2", "after"),
            ("DecideRun", "gpu-server-1", "before"),
        ]
    ]
    for client in clients:
        assert client.communicate(timeout=60)[1] == b""
        assert client.returncode == -signal.SIGKILL
    # Of the first nothing was accepted.
    accepted = {run.id for _, run in runs_on_hosts()}
    until(lambda: all(is_over(run.state) for _, run in runs_on_hosts()))
    assert [row[3] for row in rows("remote")] == ["failed"] * 3
    assert len(accepted) == 3
    assert all(part["reason"].startswith("never started: ") for part in parts())
    for run in accepted:
        until(lambda run=run: supervisors(run) == [])
    until(lambda: held_on_hosts() == [])
    assert not ran.exists()


@pytest.mark.parametrize("kind", ["SubmitPart", "DecideRun"])
def test_ctrl_c_before_the_word_to_start_leaves_nothing_at_all(hosts, short_tmp, kind):
    ran = short_tmp / "ran"
    host = "gpu-server-2" if kind == "SubmitPart" else "gpu-server-1"
    client = dying_client(signal.SIGINT, kind, host, "before", "--", "touch", str(ran))
    client.communicate(timeout=60)
    assert client.returncode == 130
    until(lambda: runs_on_hosts() == [])
    until(lambda: held_on_hosts() == [])
    assert not ran.exists()


def test_after_ctrl_c_a_run_that_a_host_may_have_accepted_is_named(hosts):
    # Of two --nodes, the last one counts.
    client = dying_client(
        signal.SIGINT, "SubmitRun", "gpu-server-1", "after", "--nodes", "1", "--", "sleep", "1000"
    )
    said = client.communicate(timeout=60)[1].decode()
    assert client.returncode == 130
    (row,) = rows("remote")
    assert f"genvx: run {row[1]} may have started; genvx remote runs stop {row[1]} ends it" in said


def test_once_node_0_has_the_word_to_start_all_start_without_the_client(hosts):
    client = dying_client(
        signal.SIGKILL, "DecideRun", "gpu-server-1", "after", "--", "sleep", "1000"
    )
    client.communicate(timeout=60)
    (row,) = rows("remote")
    until(lambda: states_on_hosts(row[1]) == ["running"] * 2)


def test_of_the_terminals_of_all_parts_one_is_viewed(hosts, view):
    run = detached("--tty", "--", "sh", "-c", "echo rank $NODE_RANK; read line; exit 3")
    for words, rank in (((), 0), (("--node", "1"), 1)):
        terminal = view(run, *words)
        terminal.expect(f"rank {rank}\r\n")
        terminal.key("\x1d\x1d\x1d")
        assert terminal.end() == 0
    refused = view(run, "--node", "2")
    refused.expect("has no node 2")
    assert refused.end() == 2
