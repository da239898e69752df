"""A pretend fleet comes up, is used, and leaves nothing; on OpenSSH's server and on the
embedded one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.errors import InvalidInput, StateError
from genvx.sandbox import ending, processes, record
from genvx.sandbox import sandbox as rooms
from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    alive,
    end,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    job,
    nest,
    start_genvx,
    until,
)

SERVERS = [pytest.param("openssh", marks=pytest.mark.needs("openssh")), "embedded"]


@pytest.fixture
def sshd(short_tmp, monkeypatch):
    """Puts a script in the place of sshd, in which $SSHD is the real one."""

    def replace(script):
        real = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        path = short_tmp / "bin" / "sshd"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\nSSHD={real}\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return replace


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


def test_its_hosts_answer_with_their_simulated_devices(make_sandbox, server):
    make_sandbox("1", "2xH100-80GB", "0", server=server)
    answer = run_genvx("remote", "devices", "-v", "--csv")
    assert [line.split(",")[:3] for line in answer.stdout.splitlines()[1:]] == [
        ["gpu-server-1", "0", "A100-80GB (simulated)"],
        ["gpu-server-2", "0", "H100-80GB (simulated)"],
        ["gpu-server-2", "1", "H100-80GB (simulated)"],
    ]


def test_devices_of_different_hosts_have_different_uuids(make_sandbox):
    make_sandbox("2", "2", server="embedded")
    out = run_genvx("remote", "run", "-g", "2", "--", "printenv", "CUDA_VISIBLE_DEVICES").stdout
    first = start_genvx(
        "remote", "run", "-g", "2", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; cat", stdin=-1
    )
    assert first.stdout is not None
    assert first.stdout.readline() == out
    second = run_genvx("remote", "run", "-g", "2", "--", "printenv", "CUDA_VISIBLE_DEVICES").stdout
    first.communicate("")
    assert not set(out.strip().split(",")) & set(second.strip().split(","))


def test_going_down_leaves_no_process_and_no_file(make_sandbox, server, short_tmp):
    sandbox = make_sandbox("1", server=server)
    line, told = job(short_tmp)
    client = start_genvx("remote", "run", "-g", "1", "--", "sh", "-c", f"{line} sleep 600")
    pid = told()
    members = ending.of_sandbox(sandbox.servers, sandbox.directory)
    assert pid in {member.pid for member in members}
    assert rooms.down(sandbox.directory)
    assert not any(processes.alive(member) for member in members)
    assert not alive(pid)
    assert not os.path.exists(sandbox.directory)
    assert not rooms.down(sandbox.directory)
    end(client)


def test_nothing_of_the_users_ssh_is_read_or_changed(make_sandbox, server, short_tmp, monkeypatch):
    home = short_tmp / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("this is not a config\n")
    monkeypatch.setenv("HOME", str(home))
    make_sandbox("1", server=server)
    assert run_genvx("remote", "devices").returncode == 0
    assert [p.name for p in (home / ".ssh").iterdir()] == ["config"]


def test_the_hostfile_alone_is_enough(make_sandbox, monkeypatch):
    sandbox = make_sandbox("1", select=False)
    assert run_genvx("remote", "-f", sandbox.hostfile, "devices").returncode == 0


def test_it_listens_on_loopback_only(make_sandbox, server):
    sandbox = make_sandbox("1", server=server)
    port = f":{sandbox.hosts[0].port:04X}"
    addresses = [
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()
        if line.split()[1].endswith(port) and line.split()[3] == "0A"
    ]
    assert addresses == [f"0100007F{port}"]


# Takes a port that the configuration of sshd names, if that is free; says how that went.
_RIVAL = """
import re, socket, sys
port = int(re.search("(?m)^Port ([0-9]+)", open(sys.argv[1]).read())[1])
try:
    socket.socket().bind(("127.0.0.1", port))
    print(port, "free")
except OSError as error:
    print(port, error.strerror)
"""


@pytest.mark.needs("openssh")
def test_nobody_else_gets_a_hosts_port_while_its_server_starts(make_sandbox, sshd, tmp_path):
    (tmp_path / "rival.py").write_text(_RIVAL)
    # sshd -D -e -f CONFIG
    sshd(f'{sys.executable} {tmp_path}/rival.py "$4" >>{tmp_path}/said; exec $SSHD "$@"')
    sandbox = make_sandbox("1", "1")
    said = (tmp_path / "said").read_text().splitlines()
    assert sorted(said) == sorted(f"{host.port} Address already in use" for host in sandbox.hosts)


def test_a_second_one_in_the_same_place_is_refused(make_sandbox):
    sandbox = make_sandbox("1", server="embedded")
    with pytest.raises(InvalidInput, match="genvx sandbox down"):
        rooms.up(sandbox.directory, ["1"])


def test_what_is_not_a_sandbox_is_not_deleted(short_tmp):
    (short_tmp / "mine").mkdir()
    (short_tmp / "mine" / "thesis").touch()
    with pytest.raises(StateError, match=r"no sandbox\.json"):
        rooms.down(str(short_tmp / "mine"))
    assert (short_tmp / "mine" / "thesis").exists()


def test_a_server_that_does_not_start_is_named_and_nothing_is_left(short_tmp, sshd):
    sshd("exit 1")
    with pytest.raises(StateError, match="gpu-server-1 does not start"):
        rooms.up(str(short_tmp / "s"), ["1"], server="openssh")
    assert not (short_tmp / "s").exists()


@pytest.mark.parametrize(("gpus", "suggested"), [("1,1", 1), ("0,4", 2), ("0", 0)])
def test_up_suggests_what_its_hosts_have(short_tmp, gpus, suggested):
    words = ("--dir", str(short_tmp / "s"))
    answer = run_genvx("sandbox", "up", "--gpus", gpus, "--server", "embedded", *words)
    run_genvx("sandbox", "down", *words)
    assert f"  genvx remote activate --gpus {suggested}\n" in answer.stdout


def test_the_embedded_server_gives_a_terminal(make_sandbox):
    make_sandbox("1", server="embedded")
    terminal = Terminal(
        genvx_argv("remote", "activate", "-g", "1"), genvx_env(GENVX_TERMINAL="builtin")
    )
    terminal.expect("(genvx) gpu-server-1 $ ")
    terminal.child.setwinsize(30, 70)
    terminal.line("until [ \"$(stty size)\" = '30 70' ]; do sleep 0.1; done; tty; exit 8")
    terminal.expect("/dev/pts/")
    assert terminal.end() == 8


@pytest.fixture
def no_terminals(sshd, monkeypatch):
    """The sshd of an ordinary user that cannot give a terminal, as in most containers."""
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    sshd('exec $SSHD -o PermitTTY=no "$@"')
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.needs("openssh")
def test_where_sshd_gives_no_terminal_the_embedded_server_is_used_and_that_is_said(
    make_sandbox, no_terminals
):
    sandbox = make_sandbox("1", server=None)
    assert sandbox.server == "embedded"
    assert "gives an ordinary user no terminal" in sandbox.note
    lines = f"genvx: {sandbox.note}".splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "  The embedded server is used instead."
    terminal = Terminal(["ssh", "-F", sandbox.ssh_config, "gpu-server-1"], genvx_env())
    terminal.expect("$ ")
    terminal.line("exit")
    assert terminal.end() == 0


@pytest.mark.needs("openssh")
def test_an_sshd_that_was_asked_for_is_used_and_what_it_lacks_is_said(make_sandbox, no_terminals):
    sandbox = make_sandbox("1", server="openssh")
    assert sandbox.server == "openssh"
    assert "--server embedded" in sandbox.note


@pytest.mark.needs("openssh")
def test_the_embedded_server_lives_on_when_a_shell_in_a_terminal_has_ended(make_sandbox):
    sandbox = make_sandbox("1", server="embedded")
    command = ["ssh", "-F", sandbox.ssh_config, "-tt", "gpu-server-1", "exit 7"]
    shells = [Terminal(command, genvx_env()) for _ in range(8)]
    assert [shell.end() for shell in shells] == [7] * 8
    assert record.running(sandbox) == (True,)


@pytest.mark.parametrize("tty", [True, False])
def test_the_embedded_server_hangs_up_when_its_client_is_killed(make_sandbox, tty):
    make_sandbox("1", server="embedded")
    if tty:
        terminal = Terminal(
            genvx_argv("remote", "activate", "-g", "1"), genvx_env(GENVX_TERMINAL="builtin")
        )
        terminal.expect("(genvx) gpu-server-1 $ ")
        terminal.child.kill(signal.SIGKILL)
    else:
        client = start_genvx("remote", "run", "-g", "1", "--", "sleep", "600")
        until(held_on_hosts)
        end(client)
    until(lambda: not held_on_hosts())


def test_directories_that_are_too_deep_to_delete_are_a_line_that_says_what_to_do(make_sandbox):
    sandbox = make_sandbox("1", server="embedded")
    nest(Path(sandbox.directory))
    done = run_genvx("sandbox", "down", "--dir", str(sandbox.directory))
    subprocess.run(["rm", "-rf", sandbox.directory], check=True)
    if sys.version_info < (3, 13):
        assert done.returncode == 6
        assert done.stderr.endswith("delete it by hand, with rm -rf\n"), done.stderr
    else:
        assert done.returncode == 0, done.stderr
