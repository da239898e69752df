"""A key for one run: an sshd of its own, which a plain ssh reaches, and which ends with the run."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from genvx.local.runs.debug import server
from genvx.sandbox.files import make_key
from genvx.sandbox.ports import reserved
from tests.capabilities import USER_A
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, processes_with, until

pytestmark = pytest.mark.needs("openssh", "bash")

PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/", "TERM": "xterm"}
# Whatever the user of these tests has in ~/.ssh.
OURS_ONLY = ("-F", "none", "-o", "IdentityAgent=none")


class Guest:
    """Somebody with a private key and what they were told of a run, and nothing of genvx.

    line: the words of the command line that they were told. trust: the line for known_hosts.
    """

    def __init__(self, run, line, key, trust):
        self.id = run
        *self.options, self.place = shlex.split(
            line.replace("<private key>", shlex.quote(str(key)))
        )
        assert self.options.pop(0) == "ssh"
        self.port = int(self.options[self.options.index("-p") + 1])
        known_hosts = Path(key).parent / f"{run}.known_hosts"
        known_hosts.write_text(f"{trust}\n")
        self._trust = [
            "-o",
            f'UserKnownHostsFile="{known_hosts}"',
            "-o",
            "StrictHostKeyChecking=yes",
        ]

    def argv(self, program, *words, options=()):
        given = [*OURS_ONLY, *options, *self.options, *self._trust]
        if program != "ssh":
            given[given.index("-p")] = "-P"
        return [program, *given, *words]

    def ssh(self, *words, options=(), place=None):
        return ran(self.argv("ssh", place or self.place, *words, options=options))

    def is_refused(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == errno.ECONNREFUSED


def ran(argv, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(argv, capture_output=True, text=True, env=PLAIN, timeout=60, **more)


@pytest.fixture
def key(tmp_path):
    make_key(str(tmp_path / "a key"), "me@laptop")
    return tmp_path / "a key"


@pytest.fixture
def start(sandbox, key):
    """Starts a run on gpu-server-1 whose debug port takes a key of ours."""

    def begin(*options, key=key, command=("sleep", "1000")):
        words = ("--only-host", "gpu-server-1", "--debug-key-file", f"{key}.pub", *options)
        begun = run_genvx("remote", "run", "-d", *words, "--", *command)
        assert begun.returncode == 0, begun.stderr
        run = begun.stdout.strip()
        return Guest(run, line_in(begun.stderr), key, known(run))

    return begin


def line_in(said):
    (line,) = [each for each in said.splitlines() if "debug key: ssh " in each]
    return line.partition("key: ")[2]


def info(run):
    answer = run_genvx("remote", "runs", "info", run, "--json")
    return json.loads(answer.stdout)["hosts"][0]["runs"][0]


def known(run):
    return info(run)["debug_port"]["known_hosts"]


def directory_of(sandbox, run):
    return Path(sandbox.hosts[0].home, ".local/share/genvx/runs", run)


def test_a_debug_key_leads_into_its_run_only_and_no_longer_than_that(sandbox, start, key, tmp_path):
    run = start("-g", "1", "-n", "train", "--env", "A=b c")
    directory = directory_of(sandbox, run.id)
    seen = run.ssh('echo "$GENVX_RUN_ID:$GENVX_DEVICES:$A"; pwd; echo no >&2; exit 7')
    assert (seen.stdout, seen.returncode) == (f"{run.id}:0:b c\n{directory}/work\n", 7)
    assert seen.stderr == "no\n"
    terminal = Terminal(run.argv("ssh", run.place, options=["-tt"]), PLAIN)
    terminal.expect(f"in run {run.id} (train) on ")
    terminal.expect("(genvx train)")
    terminal.line("tty; stty size; exit 3")
    terminal.expect("/dev/pts/")
    terminal.expect("40 160")
    assert terminal.end() == 3
    (tmp_path / "model").write_bytes(os.urandom(100_000))
    there, back = f"{run.place}:there", str(tmp_path / "back")
    for way, words in (([], [str(tmp_path / "model"), there]), (["-O"], [there, back])):
        copied = ran(run.argv("scp", *words, options=["-q", *way]))
        assert (copied.returncode, copied.stderr) == (0, "")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "model").read_bytes()
    assert (directory / "work/there").exists()
    batch = subprocess.run(
        run.argv("sftp", run.place, options=["-q", "-b", "-"]),
        input=f"put {tmp_path}/model",
        text=True,
        capture_output=True,
        env=PLAIN,
    )
    assert batch.returncode == 0, batch.stderr
    assert (directory / "work/model").exists()
    assert run_genvx("remote", "runs", "stop", run.id).returncode == 0
    assert "Connection refused" in run.ssh("true").stderr
    assert not (directory / "debug.json").exists()
    assert not (directory / "host_key").exists()
    assert processes_with(str(directory)) == []
    assert info(run.id)["debug_port"]["open"] is False


def test_a_debug_key_opens_nothing_but_its_run(start, key, tmp_path):
    run = start("-g", "1")
    sent = ["-o", "SetEnv=LD_PRELOAD=/x GENVX_RUN_ID=y"]
    seen = run.ssh("env", options=["-A", "-X", *sent])
    assert f"GENVX_RUN_ID={run.id}\n" in seen.stdout
    assert not {"LD_PRELOAD", "SSH_AUTH_SOCK", "DISPLAY"} & {
        line.partition("=")[0] for line in seen.stdout.splitlines()
    }
    assert run.ssh("netconf", options=["-s"]).returncode == 255
    elsewhere = run.ssh(options=["-W", "192.0.2.1:22"])
    assert "administratively prohibited" in elsewhere.stderr
    for listen in ("*:0:localhost:1", f"{tmp_path}/socket:localhost:1"):
        refused = run.ssh(options=["-N", "-o", "ExitOnForwardFailure=yes", "-R", listen])
        assert (refused.returncode, "forward" in refused.stderr) == (255, True)
    address = run.place.partition("@")[2]
    assert "Permission denied" in run.ssh("true", place=f"nobody@{address}").stderr
    # The key of another run, and the host key of another run at the same address.
    make_key(str(tmp_path / "other"), "x")
    other = start(key=tmp_path / "other")
    assert other.ssh("true").returncode == 0
    run.options[run.options.index(str(key))] = str(tmp_path / "other")
    assert "Permission denied" in run.ssh("true").stderr
    run.options[run.options.index(str(run.port))] = str(other.port)
    assert "HOST IDENTIFICATION HAS CHANGED" in run.ssh("true").stderr


def test_the_port_is_said_in_the_log_and_shown_and_stays_for_a_restart(sandbox, start, key):
    run = start("--hold", "1h", command=("sh", "-c", "echo out; exit 7"))
    log = run_genvx("remote", "logs", run.id).stdout.splitlines()
    assert log[0] == "genvx: the debug port is open; with the private key, this leads into the run:"
    assert log[1].startswith("genvx: ssh -i <private key> -o IdentitiesOnly=yes ")
    assert log[1].endswith(f"-o HostKeyAlias=genvx-run-{run.id} -p {run.port} {run.place}")
    printed = ran(["ssh-keygen", "-l", "-f", str(directory_of(sandbox, run.id) / "host_key")])
    assert log[2] == f"genvx: fingerprint of its host key: {printed.stdout.split()[1]} (ED25519)"
    assert log[3:] == ["out"]
    shown = run_genvx("remote", "runs", "info", run.id).stdout
    assert f"debug port: {log[1].partition(': ')[2]}\n" in shown
    assert f"{printed.stdout.split()[1]} (ED25519)" in shown
    ours = ran(["ssh-keygen", "-l", "-f", f"{key}.pub"]).stdout.split()[1]
    assert f"debug keys: {ours} (me@laptop)\n" in shown
    # Its command has ended, and the run is held.
    assert run.ssh("echo $GENVX_RUN_ID").stdout == f"{run.id}\n"
    # A tunnel is no guest: it does not keep the run.
    tunnel = subprocess.Popen(
        run.argv("ssh", run.place, options=["-N", "-L", "0:localhost:1"]), env=PLAIN
    )
    assert run_genvx("remote", "release", run.id).returncode == 0
    tunnel.wait(timeout=60)
    until(run.is_refused)
    again = run_genvx("remote", "runs", "restart", run.id)
    assert "to enter it with the debug key: ssh -i '<private key>'" not in again.stderr
    assert "to enter it with the debug key: ssh -i <private key>" in again.stderr
    assert info(again.stdout.strip())["debug_port"]["open"] is True
    run_genvx("remote", "runs", "stop", "--force", again.stdout.strip())


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


def test_when_the_supervisor_is_killed_the_port_and_all_that_came_in_end(sandbox, start):
    run = start()
    directory = directory_of(sandbox, run.id)
    inside = subprocess.Popen(
        run.argv("ssh", run.place, "trap '' HUP; echo $$; sleep 1000 & wait"),
        stdout=subprocess.PIPE,
        text=True,
        env=PLAIN,
    )
    shell = int(inside.stdout.readline())
    web = HTTPServer(("127.0.0.1", 0), _Hello)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with reserved() as port:
        pass
    forward = f"{port}:localhost:{web.server_address[1]}"
    tunnel = subprocess.Popen(run.argv("ssh", run.place, options=["-N", "-L", forward]), env=PLAIN)
    until(lambda: _get(port) == b"hello", "the tunnel is there")
    web.shutdown()
    web.server_close()
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == f"genvx-{run.id}":
                os.kill(int(comm.parent.name), signal.SIGKILL)
    until(run.is_refused, "the port is closed")
    until(lambda: not alive(shell), "who was inside has ended")
    assert tunnel.wait(timeout=60) == 255
    inside.communicate()
    until(lambda: not (directory / "host_key").exists(), "the keys are deleted")
    assert not (directory / "debug.json").exists()


def _get(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as web:
            web.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while part := web.recv(4096):
                data += part
            return data.rpartition(b"\r\n\r\n")[2]
    except OSError:
        return None


def test_connections_that_never_log_in_keep_nobody_out(start):
    run = start()
    with contextlib.ExitStack() as strangers:
        held = [
            strangers.enter_context(socket.create_connection(("127.0.0.1", run.port)))
            for _ in range(server.MOST_NEWCOMERS + 15)
        ]
        assert run.ssh("echo in").stdout == "in\n"
        # The first ones had to go.
        held[0].settimeout(30)
        while held[0].recv(4096):
            pass


def test_a_port_that_is_busy_is_said_before_anything_runs(sandbox, start, key):
    words = ["remote", "run", "--only-host", "gpu-server-1", "-d", "-g", "1"]
    with socket.create_server(("", 0)) as other:
        port = str(other.getsockname()[1])
        asked = [*words, "--debug-key-file", f"{key}.pub", "--debug-port", port]
        refused = run_genvx(*asked, "--", "true")
        why = f"cannot open the debug port: port {port} is busy; choose another one, or leave "
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr == f"genvx: gpu-server-1: {why}--debug-port out\n"
        assert not os.listdir(directory_of(sandbox, ""))
        first = run_genvx(*words, "--", "sleep", "1000").stdout.strip()
        waits = run_genvx(*asked, "--wait", "--", "true")
        run = waits.stdout.strip()
        assert f"its debug port opens when it starts; genvx remote runs info {run}" in waits.stderr
        run_genvx("remote", "runs", "stop", "--force", first)
        until(lambda: info(run)["state"] == "failed")
        assert info(run)["reason"] == f"{why}--debug-port out"
        assert not (directory_of(sandbox, run) / "host_key").exists()


def test_the_first_part_of_a_gang_has_the_debug_port(sandbox, key):
    words = ("-N", "2", "-g", "1", "--debug-key-file", f"{key}.pub", "--debug-bind", "127.0.0.1")
    begun = run_genvx("remote", "run", "-d", *words, "--", "sleep", "1000")
    assert begun.returncode == 0, begun.stderr
    run = begun.stdout.strip()
    answer = json.loads(run_genvx("remote", "runs", "info", run, "--json").stdout)
    first, second = (host["runs"][0]["debug_port"] for host in answer["hosts"])
    assert second is None
    guest = Guest(run, line_in(begun.stderr), key, first["known_hosts"])
    assert "debug port: ssh -i <private key> " in run_genvx("remote", "runs", "info", run).stdout
    assert guest.ssh("echo $NODE_RANK:$GENVX_RUN_ID").stdout == f"0:{run}\n"
    assert run_genvx("remote", "runs", "stop", "--force", run).returncode == 0
    until(guest.is_refused)


# sshd needs root's help for a terminal, unless those of its group are made by the kernel, as the
# /dev/pts of most systems has it.
_AS_A_USER = """
set -e
mount --bind "$D/passwd" /etc/passwd
mount -t devpts -o newinstance,gid=$(getent group tty | cut -d: -f3),mode=620,ptmxmode=666 \
    devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
exec setpriv --reuid $U --regid $U --clear-groups "$@"
"""
_START = """
import os, sys
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.debugport import DebugPort
from genvx.core.runs.run import Moment, RunSpec
from genvx.local.host import LocalHost
port = DebugPort((sys.argv[1],), bind="127.0.0.1")
words = ("sh", "-c", "until [ -e done ]; do sleep 0.1; done")
spec = RunSpec(
    os.urandom(4).hex(), words, Requirements(1), "", "", Moment(0, 0), debug_port=port
)
run = LocalHost().submit(spec)
print(run.open_port.line(run.id, sys.argv[2]))
print(run.open_port.known_host(run.id))
"""


@pytest.mark.needs("uids", "namespaces")
def test_an_ordinary_user_has_a_debug_port_with_shells_and_terminals(world, shared_state, key):
    """In a home with characters that mean something to sshd and to shells."""
    home = Path(shared_state, "a home's 100% $HOME")
    home.mkdir()
    os.chown(home, USER_A, USER_A)
    (shared_state / "passwd").write_text(
        Path("/etc/passwd").read_text() + f"someone:x:{USER_A}:{USER_A}::{home}:/bin/bash\n"
    )
    variables = {
        "GENVX_STATE_DIR": str(shared_state),
        "GENVX_SIMULATE": "2xA100-80GB",
        "HOME": str(home),
        "D": str(shared_state),
        "U": str(USER_A),
    }
    public = Path(f"{key}.pub").read_text().strip()
    # The server of the port outlives this process, and with it the namespace.
    begun = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _AS_A_USER, "sh", *world.command(_START), public, key],
        env=world.environ(**variables),
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
    )
    assert begun.returncode == 0, begun.stderr
    line, known_host = begun.stdout.splitlines()
    run = known_host.partition(" ")[0].removeprefix("genvx-run-")
    guest = Guest(run, line, key, known_host)
    place = home / ".local/share/genvx/runs" / run / "work"
    try:
        seen = guest.ssh("id -u; echo $GENVX_RUN_ID; pwd; exit 5")
        assert seen.stdout == f"{USER_A}\n{run}\n{place}\n", seen.stderr
        assert seen.returncode == 5
        seen = guest.ssh("tty", options=["-tt", "-q"])
        assert seen.stdout.startswith("/dev/pts/"), seen
        assert guest.ssh("true", place="root@127.0.0.1").returncode == 255
    finally:
        (place / "done").touch()
    until(guest.is_refused)
    until(lambda: not list(shared_state.glob("leases/*/*.run")), "its supervisor has ended")
    assert not (place.parent / "host_key").exists()
