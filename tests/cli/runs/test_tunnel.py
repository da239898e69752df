"""Tunnels as a person has them: opened, looked through, left, and ended by their run."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    children_of,
    end,
    genvx_argv,
    genvx_env,
    processes_with,
    start_genvx,
    until,
)

pytestmark = pytest.mark.needs("openssh")

# Serves a directory on a port of loopback, as tensorboard does.
STANDIN = f"""\
#!{sys.executable}
import argparse, functools, http.server
options = argparse.ArgumentParser()
for name in ("--logdir", "--host", "--port"):
    options.add_argument(name, required=True)
given = options.parse_args()
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=given.logdir)
http.server.ThreadingHTTPServer((given.host, int(given.port)), handler).serve_forever()
"""


@pytest.fixture
def hosts(sandbox):
    """Two hosts over SSH."""
    return sandbox


def started(*words):
    answer = run_genvx("remote", "run", "-d", *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def got(port, path="/"):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.read().decode()
    except OSError:
        return None


@contextlib.contextmanager
def tunnel(*words, lines=1, **options):
    """A tunnel that is open; gives its process and the lines that a script reads."""
    process = start_genvx("remote", "tunnel", *words, **options)
    try:
        shown = [process.stdout.readline() for _ in range(lines)]
        if not all(shown):
            raise AssertionError(process.communicate()[1])
        yield process, shown
    finally:
        end(process)


def test_a_server_in_a_run_is_reached_until_the_run_ends(hosts, short_tmp):
    port, go = free_port(), short_tmp / "go"
    serve = f"{sys.executable} -m http.server --bind 127.0.0.1 {port} &"
    wait = f"until [ -e {go} ]; do sleep 0.05; done"
    line = f"echo hello > index.html; {serve} {wait}; exit 7"
    run = started("-n", "web", "--", "sh", "-c", line)
    # The host of a sandbox is this machine, so its port is taken here, too.
    until(lambda: got(port), "the server is up")
    back = free_port()
    with tunnel("web", str(port), "-R", f"{back}:{port}", lines=2) as (process, shown):
        here = int(re.match(r"127\.0\.0\.1:(\d+) -> ", shown[0])[1])
        assert here > port
        assert shown == [f"127.0.0.1:{here} -> {port}\n", f"{back} -> 127.0.0.1:{port}\n"]
        assert (got(here), got(back)) == ("hello\n", "hello\n")
        go.touch()
        _, said = process.communicate(timeout=60)
    place = f"run {run} (web) on gpu-server-1"
    assert (process.returncode, said.splitlines()) == (
        0,
        [
            f"genvx: 127.0.0.1:{here} leads to port {port} of {place} ({port} is taken here)",
            f"genvx: port {back} of {place} leads to port {port} here",
            f"genvx: run {run} (web) is over: exit code 7; the tunnel is closed",
        ],
    )
    over = run_genvx("remote", "tunnel", "web", "6006")
    assert (over.returncode, over.stderr) == (2, f"genvx: run {run} (web) is over: exit code 7\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("remote", "tunnel"), "give a run and a port, such as: genvx remote tunnel 1 6006"),
        (("remote", "tunnel", "1", "0"), "not a port: '0'"),
        (("remote", "tunnel", "1", "8080:6006:1"), "not a port: '8080:6006:1'"),
        (("remote", "tunnel", "1", "-R", "1", "-R", "1:2"), "on its port 1 for one forward only"),
        (("remote", "tunnel", "1", "1", "--bind", "example.org"), "an address of this machine"),
        (("remote", "tunnel", "1", "1", "--logdir", "x"), "--logdir goes with --tensorboard"),
        (("tunnel", "1", "6006"), "its port 6006 is port 6006 of localhost"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(words, says):
    answer = run_genvx(*words, env={"GENVX_HOSTFILE": "/nonexistent"})
    assert answer.returncode == 2
    assert says in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_port_that_must_be_free_is_asked_for_before_anything_is_connected(hosts):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = run_genvx("remote", "tunnel", "1", str(port), "--strict")
    assert (answer.returncode, answer.stderr) == (
        2,
        f"genvx: port {port} is taken on this machine\n",
    )
    for host in hosts.hosts:
        assert "Accepted" not in Path(host.path("log")).read_text()


def test_ctrl_c_closes_a_tunnel_and_leaves_the_run(hosts):
    run = started("-n", "train", "--", "sleep", "600")
    port = free_port()
    terminal = Terminal(genvx_argv("remote", "tunnel", "1", str(port)), genvx_env())
    shown = terminal.expect("leads to")
    # A person is told once, a script reads the other line.
    assert (f"127.0.0.1:{port} " in shown, "->" in shown) == (True, False)
    terminal.key("\x03")
    terminal.expect("the tunnel is closed; the run goes on")
    assert terminal.end() == 130
    assert run in run_genvx("remote", "runs", "-s", "running").stdout


def test_a_run_that_waits_has_no_tunnel_yet_unless_it_is_waited_for(hosts):
    first = started("-g", "2", "-n", "first", "--", "sleep", "600")
    started("-g", "2", "--wait", "-n", "next", "--", "sleep", "600")
    refused = run_genvx("remote", "tunnel", "next", "6006")
    assert refused.returncode == 2
    assert "waits in line: place 1" in refused.stderr
    process = start_genvx("remote", "tunnel", "next", str(free_port()), "--wait")
    try:
        assert "waits in line on gpu-server-2: place 1" in process.stderr.readline()
        run_genvx("remote", "runs", "stop", "--force", first)
        assert " -> " in process.stdout.readline()
    finally:
        end(process)


def test_a_part_of_a_run_on_several_hosts_is_chosen_by_its_node(hosts):
    started("--nodes", "2", "-g", "1", "-n", "many", "--", "sleep", "600")
    with tunnel("many", str(free_port()), "--node", "1") as (process, _):
        assert process.stderr.readline().endswith(" on gpu-server-2\n")
    missing = run_genvx("remote", "tunnel", "many", "6006", "--node", "2")
    assert (missing.returncode, "has no node 2" in missing.stderr) == (2, True)


@pytest.fixture
def boards(short_tmp):
    """A directory with a stand-in for tensorboard, for PATH."""
    directory = short_tmp / "bin"
    directory.mkdir()
    program = directory / "tensorboard"
    program.write_text(STANDIN)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(directory)


def boards_of(directory):
    """The processes that run the stand-in."""
    return processes_with(f"{directory}/tensorboard")


def board_in(boards):
    path = f"PATH={boards}:/usr/bin:/bin"
    line = "mkdir logs; echo loss > logs/index.html; exec sleep 600"
    return started("--env", path, "-n", "train", "--", "sh", "-c", line)


def test_tensorboard_of_a_run_lives_as_long_as_its_tunnel(hosts, boards):
    board_in(boards)
    with tunnel("train", "--tensorboard", "--logdir", "logs") as (process, shown):
        here = re.match(r"127\.0\.0\.1:(\d+) -> \d+\n", shown[0])[1]
        process.stderr.readline()
        assert process.stderr.readline() == f"genvx: TensorBoard: http://localhost:{here}/\n"
        assert got(here) == "loss\n"
        # It comes back with the connection.
        assert len(boards_of(boards)) == 1
        for host in hosts.servers:
            kill_children(host.pid)
        assert "connecting again" in process.stderr.readline()
        assert "connected again" in process.stderr.readline()
        until(lambda: got(here) == "loss\n", "it is up again")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    until(lambda: not boards_of(boards), "it has ended")
    started("-n", "without", "--", "sleep", "600")
    missing = run_genvx("remote", "tunnel", "without", "--tensorboard")
    assert missing.returncode == 2
    assert "has no tensorboard; install it" in missing.stderr


def test_nothing_is_left_of_a_tunnel_whose_client_is_killed(hosts, boards):
    board_in(boards)
    back, port = free_port(), free_port()
    with tunnel("train", str(port), "--tensorboard", "-R", str(back), lines=3) as (process, _):
        until(lambda: boards_of(boards), "tensorboard runs")
        assert (listens(port), listens(back)) == (True, True)
        serving = [pid for host in hosts.servers for pid in children_of(host.pid)]
        assert serving
        process.kill()
        process.wait()
        until(lambda: not boards_of(boards), "tensorboard has ended")
        until(lambda: not (listens(port) or listens(back)), "nothing listens")
        until(
            lambda: not any(children_of(host.pid) for host in hosts.servers),
            "no connection is left",
        )


def kill_children(parent):
    for pid in children_of(parent):
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
