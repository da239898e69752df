"""genvx ssh-config for hosts that only a jump host reaches, and for those that run dropbear."""

from __future__ import annotations

import itertools
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.doors import door
from tests.helpers import genvx_argv, until

INSIDE = "echo $GENVX_RUN_ID; exit 3"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def spaces():
    """Three network namespaces in a row: each has a cable to the next, and no way beyond that."""
    word = secrets.token_hex(4)
    names = [f"genvx-{word}-{n}" for n in range(3)]
    try:
        for name in names:
            subprocess.run(["ip", "netns", "add", name], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        for number, (one, other) in enumerate(itertools.pairwise(names)):
            ends = (f"g{word}{number}a", f"g{word}{number}b")
            kind = ("type", "veth", "peer", "name", ends[1], "netns", other)
            subprocess.run(["ip", "-n", one, "link", "add", ends[0], *kind], check=True)
            for last, (space, end) in enumerate(zip((one, other), ends, strict=True)):
                address = f"10.77.{number}.{last + 1}/30"
                subprocess.run(["ip", "-n", space, "addr", "add", address, "dev", end], check=True)
                subprocess.run(["ip", "-n", space, "link", "set", end, "up"], check=True)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.fixture
def behind(sandbox, spaces):
    """The words before a command of somebody who reaches gpu-server-2 only through gpu-server-1."""
    config = Path(sandbox.ssh_config)
    servers = []
    for number, host in enumerate(sandbox.hosts):
        address = f"10.77.{number}.2"
        config.write_text(
            config.read_text().replace(
                f"127.0.0.1\n    Port {host.port}\n",
                f"{address}\n    Port {host.port}\n" + "    ProxyJump gpu-server-1\n" * number,
            )
        )
        settings = Path(host.path("sshd_config"))
        settings.write_text(settings.read_text().replace("127.0.0.1", address))
        words = ("ip", "netns", "exec", spaces[number + 1], "/usr/sbin/sshd", "-D", "-f")
        servers.append(subprocess.Popen([*words, str(settings)], start_new_session=True))
    client = ("ip", "netns", "exec", spaces[0])
    reached = [*client, *genvx_argv("remote", "devices")]
    until(lambda: subprocess.run(reached, capture_output=True, timeout=60).returncode == 0)
    direct = f"import socket; socket.create_connection(('10.77.1.2', {host.port}), timeout=9)"
    tried = subprocess.run([*client, sys.executable, "-c", direct], capture_output=True, text=True)
    assert "Network is unreachable" in tried.stderr
    yield client
    for server in servers:
        server.terminate()
        server.wait()


@pytest.mark.needs("openssh", "cables")
def test_a_run_on_a_host_that_only_a_jump_host_reaches(behind, home):
    def genvx(*words):
        line = [*behind, *genvx_argv("remote", *words)]
        return subprocess.run(line, capture_output=True, text=True, timeout=60)

    begun = genvx("run", "-d", "-g", "2", "--name", "fit", "--", "sleep", "600")
    assert begun.returncode == 0, begun.stderr
    assert genvx("ssh-config", "fit", "--write").returncode == 0
    line = [*behind, "ssh", "-F", str(home / ".ssh" / "config"), "genvx-fit", INSIDE]
    answer = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, begun.stdout, "")


@pytest.mark.needs("openssh", "dropbear", "namespaces")
def test_a_run_on_a_host_that_one_logs_in_to_by_dropbear(short_tmp, home):
    with door("dropbear", short_tmp) as host:
        home.joinpath(".ssh").mkdir()
        environ = host.environ(f"IdentityFile {host.key}")

        def genvx(*words):
            return run_genvx("remote", "-H", "door", *words, env=environ)

        begun = genvx("run", "-d", "-g", "1", "--name", "fit", "--", "sleep", "600")
        assert begun.returncode == 0, begun.stderr
        assert genvx("ssh-config", "fit", "--write").returncode == 0
        line = ["ssh", "-F", str(home / ".ssh" / "config"), "genvx-fit", INSIDE]
        answer = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert (answer.returncode, answer.stdout, answer.stderr) == (3, begun.stdout, "")
        assert genvx("runs", "stop", "fit").returncode == 0
