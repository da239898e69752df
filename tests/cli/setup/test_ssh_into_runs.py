"""genvx ssh-config RUN: ssh, scp, sftp, rsync and editors inside of a live run."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from genvx.local import processes
from genvx.local.runs import tree
from genvx.sandbox.ports import reserved
from tests.conftest import run_genvx
from tests.helpers import ROOT, alive, on_hosts, until

pytestmark = pytest.mark.needs("openssh", "root", "namespaces")

SECRET = "s3cr3t-of-the-run"
# Lives until somebody runs END in the directory of the run.
COMMAND, END = "mkfifo end; read line < end; exit 7", ": > end"


@pytest.fixture
def servers(sandbox, tmp_path):
    """The servers of the hosts, where the home of their user is that of the sandbox. sshd asks
    passwd for it, and start-up files of whoever runs the tests are not what is tested.
    """
    running = []
    for host, before in zip(sandbox.hosts, sandbox.servers, strict=True):
        os.kill(before.pid, signal.SIGKILL)
        until(lambda pid=before.pid: not alive(pid))
        path = tmp_path / f"passwd-{host.name}"
        others = Path("/etc/passwd").read_text()
        path.write_text(f"root:x:0:0::{host.home}:/bin/sh\n{others}")
        script = (
            f"mount --bind {path} /etc/passwd; exec /usr/sbin/sshd -D -f {host.path('sshd_config')}"
        )
        environ = {**os.environ, "GENVX_STATE_DIR": host.state}
        line = ("unshare", "--mount", "sh", "-c", script)
        running.append(subprocess.Popen(line, env=environ, start_new_session=True))
        until(lambda port=host.port: _listens(port), "sshd listens")
    yield running
    for server in running:
        server.kill()
        server.wait()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@pytest.fixture
def home(servers, tmp_path, monkeypatch):
    """A home of our own, from which ssh has our configuration only."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def remote(*words, code=0):
    answer = run_genvx("remote", *words)
    assert answer.returncode == code, answer.stderr
    return answer


def started(*words, host="gpu-server-1", command=COMMAND):
    """The id of a run that was started on a host."""
    line = ("run", "-d", "-g", "1", "--only-host", host, *words, "--", "sh", "-c", command)
    return remote(*line).stdout.strip()


@pytest.fixture
def run(home):
    """A run named fit, with an entry."""
    identifier = started("--name", "fit", "--env", f"SECRET={SECRET}")
    written(home, "fit")
    return identifier


def written(home, *words):
    """Keep an entry; return what follows in the configuration that `ssh -F` gets."""
    remote("ssh-config", *words, "--write")
    return home / ".ssh" / "config"


def ssh(home, *words, name="genvx-fit", **options):
    options.setdefault("timeout", 60)
    options.setdefault("input", "")
    line = ("ssh", "-F", str(home / ".ssh" / "config"), *words[:-1], name, *words[-1:])
    return subprocess.run(line, capture_output=True, text=True, **options)


def said(home, *words, **options):
    answer = ssh(home, *words, **options)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


@pytest.fixture
def unused_port():
    with reserved() as port:
        yield port


def test_a_session_is_inside_of_the_run(run, home):
    line = "pwd; echo $GENVX_RUN_ID $GENVX_DEVICES $SECRET; ps -ww -eo args; exit 5"
    answer = ssh(home, line)
    assert (answer.returncode, answer.stderr) == (5, "")
    directory, variables, *commands = answer.stdout.splitlines()
    assert directory.endswith(f"/{run}/work")
    assert variables == f"{run} 0 {SECRET}"
    assert not any(SECRET in each or "SIM-" in each for each in commands)
    # By its id, from nowhere, as a program that was started from a desktop.
    answer = subprocess.run(
        ["ssh", "-F", str(home / ".ssh" / "config"), f"genvx-{run}", "tty; cat"],
        input="in",
        capture_output=True,
        text=True,
        cwd="/",
        env={"HOME": str(home), "PYTHONPATH": os.environ["PYTHONPATH"]},
        timeout=60,
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "not a tty\nin", "")


def test_files_are_copied_to_and_from_the_directory_of_the_run(run, home, tmp_path):
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    config = str(home / ".ssh" / "config")
    (tmp_path / "batch").write_text(f"put {tmp_path}/a c\n")
    for line in (
        ("scp", "-q", "-F", config, f"{tmp_path}/a", "genvx-fit:b"),
        ("scp", "-q", "-O", "-F", config, f"{tmp_path}/a", "genvx-fit:old"),
        ("sftp", "-q", "-F", config, "-b", f"{tmp_path}/batch", "genvx-fit"),
        ("rsync", "-e", f"ssh -F {config}", f"{tmp_path}/a", "genvx-fit:d"),
    ):
        if shutil.which(line[0]):
            answer = subprocess.run(line, capture_output=True, text=True, timeout=60)
            assert (answer.returncode, answer.stderr) == (0, "")
    got = said(home, "cat b old c | cksum; ls -m").splitlines()
    want = subprocess.run(["cksum"], input=data * 3, capture_output=True).stdout.decode().split()
    assert got[0].split() == want
    assert got[1] == "b, c, d, end, old" if shutil.which("rsync") else "b, c, end, old"


SERVER = """
import os, socket, sys, threading
def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(os.environ["GENVX_RUN_ID"].encode())
tcp = socket.create_server(("127.0.0.1", 0))
local = socket.socket(socket.AF_UNIX)
local.bind(sys.argv[1])
local.listen()
print(os.getpid(), tcp.getsockname()[1], flush=True)
os.dup2(os.open("/dev/null", os.O_RDWR), 1)
threading.Thread(target=serve, args=(local,), daemon=True).start()
serve(tcp)
"""


def through_socks(proxy, port):
    """What a port on the host answers through a SOCKS proxy."""
    with socket.create_connection(("127.0.0.1", proxy)) as client:
        client.sendall(b"\x05\x01\x00")
        assert client.recv(2) == b"\x05\x00"
        client.sendall(b"\x05\x01\x00\x03\x09localhost" + port.to_bytes(2, "big"))
        assert client.recv(10)[:2] == b"\x05\x00"
        return client.recv(100).decode()


def test_vs_code_has_a_server_inside_that_outlives_its_connection_and_ends_with_the_run(
    run, home, short_tmp, unused_port
):
    """Remote-SSH sends a script to the stdin of `ssh -T -D PORT HOST bash`; that starts a server in
    the background, to which the window connects through the same ssh, by TCP or by a socket."""
    config = str(home / ".ssh" / "config")
    path = f"{short_tmp}/server"
    script = f"cat > s.py <<'END'\n{SERVER}\nEND\n{sys.executable} s.py {path} 2>/dev/null &\n"
    with subprocess.Popen(
        [
            *("ssh", "-F", config, "-T", "-D", str(unused_port), "-o", "ConnectTimeout=15"),
            *("-o", f"ControlPath={short_tmp}/c", "-o", "ControlMaster=yes", "genvx-fit", "bash"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as window:
        window.stdin.write(script)
        window.stdin.flush()
        pid, port = window.stdout.readline().split()
        assert through_socks(unused_port, int(port)) == run
        line = ("-O", "forward", "-L", f"{short_tmp}/s:{path}")
        shared = ("ssh", "-F", config, "-o", f"ControlPath={short_tmp}/c")
        subprocess.run([*shared, *line, "genvx-fit"], check=True, timeout=60)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{short_tmp}/s")
            assert client.recv(100).decode() == run
        # The network is cut: nobody says goodbye.
        window.kill()
    until(lambda: said(home, f"kill -0 {pid} && ps -o ppid= -p {pid}").strip() != "")
    said(home, END)
    until(lambda: not alive(int(pid)), "the server is ended with the run")
    until(lambda: not any(snapshot.environments for snapshot in on_hosts()))


@pytest.fixture
def client(run, home):
    """A connection of paramiko, as programs in Python, and much like those in Java."""
    entry = paramiko.SSHConfig.from_path(str(home / ".config" / "genvx" / "ssh" / "config"))
    settings = entry.lookup("genvx-fit")
    proxy = paramiko.ProxyCommand(settings["proxycommand"])
    connection = paramiko.SSHClient()
    connection.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    connection.connect(
        settings["hostkeyalias"],
        username=settings["user"],
        key_filename=settings["identityfile"],
        sock=proxy,
        look_for_keys=False,
        allow_agent=False,
        timeout=60,
    )
    transport = connection.get_transport()
    with contextlib.closing(connection):
        yield connection
    # Its thread ends the proxy, but leaves the pipes open.
    transport.join()
    with proxy.process:
        pass


def test_pycharm_has_files_and_commands_at_once_and_a_debugger_that_connects_back(client, run):
    """More channels than the ten that sshd allows by default; pydevd connects to a port of the
    host that is forwarded to the IDE."""
    transport = client.get_transport()
    port = transport.request_port_forward("127.0.0.1", 0)
    waiting = [client.exec_command("read line; echo $GENVX_RUN_ID $line") for _ in range(12)]
    with client.open_sftp() as files, client.open_sftp() as others:
        with files.open("debug.py", "w") as file:
            file.write(
                "import socket, sys\n"
                "with socket.create_connection(('127.0.0.1', int(sys.argv[1]))) as ide:\n"
                "    ide.sendall(b'hello from ' + open('name', 'rb').read())\n"
            )
        with others.open("name", "w") as file:
            file.write(run)
        assert "debug.py" in others.listdir()
    _, output, errors = client.exec_command(f"{shlex.quote(sys.executable)} -u debug.py {port}")
    channel = transport.accept(30)
    assert channel.recv(100).decode() == f"hello from {run}"
    assert (output.channel.recv_exit_status(), errors.read()) == (0, b"")
    for number, (stdin, stdout, _) in enumerate(waiting):
        stdin.write(f"{number}\n")
        assert stdout.read().decode() == f"{run} {number}\n"


def test_other_settings_of_the_user_do_not_get_in_the_way(run, home, short_tmp, sandbox):
    """A shared connection that stays, a command that decides, and the run as a jump host."""
    config = home / ".ssh" / "config"
    inner = sandbox.hosts[1]
    config.write_text(
        f'{config.read_text()}\nMatch exec "test %n = genvx-fit"\n    SendEnv LC_TEST\n'
        f"Host inner\n    HostName 127.0.0.1\n    Port {inner.port}\n"
        f"    IdentityFile {sandbox.directory}/id_ed25519\n    UserKnownHostsFile /dev/null\n"
        "    StrictHostKeyChecking no\n    LogLevel ERROR\n"
        f"Host *\n    ControlMaster auto\n    ControlPath {short_tmp}/%C\n    ControlPersist yes\n"
        "    ProxyJump nowhere.invalid\n    HashKnownHosts yes\n"
    )
    environ = {**os.environ, "LC_TEST": "x"}
    assert said(home, "echo $GENVX_RUN_ID $LC_TEST", env=environ) == f"{run} x\n"
    assert said(home, "echo $GENVX_RUN_ID") == f"{run}\n"
    assert len(os.listdir(short_tmp)) >= 1
    answer = said(home, "-J", "genvx-fit", "hostname", name="inner")
    assert answer.strip()
    subprocess.run(
        ["ssh", "-F", str(config), "-O", "exit", "genvx-fit"], capture_output=True, timeout=60
    )


def test_an_entry_follows_a_run_that_moves_and_says_in_one_line_why_it_cannot_be_entered(
    home, servers
):
    holder = started("--name", "holder")
    run = started("--name", "fit", "--wait", command=COMMAND)
    answer = remote("ssh-config", "fit", "--write")
    assert answer.stdout == "ssh genvx-fit\n"
    assert "waits in line" in answer.stderr
    refused = ssh(home, "true")
    assert refused.returncode == 255
    assert refused.stderr.startswith(f"genvx: run {run} (fit) waits in line: place 1")
    remote("runs", "move", "fit", "--only-host", "gpu-server-2")
    assert said(home, "echo $GENVX_RUN_ID") == f"{run}\n"
    # The host of its entry is down: the run is asked for elsewhere.
    servers[0].kill()
    assert said(home, f"{END}; echo $GENVX_RUN_ID") == f"{run}\n"
    del holder


def test_a_run_that_is_over_deleted_or_unknown_is_one_line(run, home):
    said(home, END)
    until(lambda: not any(snapshot.environments for snapshot in on_hosts()))
    refused = ssh(home, "true")
    assert refused.returncode == 255
    assert refused.stderr.splitlines()[0] == f"genvx: run {run} (fit) is over: exit code 7"
    answer = remote("ssh-config", "fit", code=2)
    assert (answer.stdout, answer.stderr) == ("", f"genvx: run {run} (fit) is over: exit code 7\n")
    remote("runs", "delete", run)
    remote("runs", "purge", run)
    refused = ssh(home, "true")
    assert refused.returncode == 255
    assert refused.stderr.splitlines()[0].startswith(f"genvx: no run '{run}'")
    assert remote("ssh-config", "fit", "--remove").returncode == 0
    known = home / ".config" / "genvx" / "ssh" / "known_hosts"
    assert known.read_text() == ""


def test_another_host_key_of_the_same_run_is_refused_and_of_another_run_not_asked_about(run, home):
    said(home, "true")
    other = started("--name", "other", host="gpu-server-2")
    written(home, "other")
    assert said(home, "echo $GENVX_RUN_ID", name="genvx-other") == f"{other}\n"
    said(home, 'rm "$GENVX_RUN_DIR/host_key"')
    refused = ssh(home, "true")
    assert refused.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    assert said(home, "true", name="genvx-other") == ""


def test_a_word_that_is_several_things_is_a_host_then_an_environment_then_a_run(run, home):
    second = started("--name", "gpu-server-2", host="gpu-server-2")
    assert "ssh-proxy gpu-server-2\n" in remote("ssh-config", "gpu-server-2").stdout
    for word in (second, second[:6], "1"):
        entry = remote("ssh-config", word).stdout
        assert f"Host genvx-{second}\n" in entry
        assert f"ssh-proxy gpu-server-2 --run {second}\n" in entry
        assert f"HostKeyAlias genvx-run-{second}\n" in entry
    assert f"Host genvx-{run} genvx-fit\n" in remote("ssh-config", "2").stdout


def _started_at(pid):
    return processes.starttime(pid) if alive(pid) else None


def _inside(run):
    """The processes that were started inside of a run."""
    return {pid for pid in processes.pids() if processes.environment_of(pid) == run and alive(pid)}


# What follows `ssh -F FILE`: sessions of all kinds, and forwarded ports alone. exec: what a shell
# has started goes on without it, as after any ssh, until the run ends.
SESSIONS = (
    ("-T", "genvx-fit", "cat"),
    ("-T", "genvx-fit", "exec sleep 600"),
    ("-tt", "genvx-fit"),
    ("-s", "genvx-fit", "sftp"),
    ("-N", "-R", "0:127.0.0.1:9", "genvx-fit"),
)
# Ten minutes for 200: GENVX_TEST_TRIES=200 scripts/test FILE -n 0 -k killed
TRIES = int(os.environ.get("GENVX_TEST_TRIES", "5"))


@pytest.mark.timeout(120 + 15 * TRIES)
def test_connections_that_are_killed_at_any_moment_leave_nothing(run, home, sandbox, servers):
    """Who is killed: the client, its proxy, the far end, an sshd, what runs inside."""
    chance = random.Random(os.environ.get("GENVX_TEST_SEED"))
    server = servers[0].pid
    # What the first ones leave for all: the host key of the run, start-up files for shells.
    config = ("ssh", "-F", str(home / ".ssh" / "config"))
    subprocess.run([*config, "-tt", "genvx-fit"], input=b"exit\n", capture_output=True, timeout=60)

    def files():
        places = (home, Path(sandbox.hosts[0].directory), Path(sandbox.directory) / "cache")
        return {str(path) for place in places for path in place.rglob("*")}

    def far():
        return tree.descendants(server)

    until(lambda: not far())
    files_before, inside_before = files(), _inside(run)
    seen = set()
    for number in range(TRIES):
        line = (*config, *SESSIONS[number % len(SESSIONS)])
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(line, stdin=subprocess.PIPE, **quiet) as client:
            # How many processes there are tells how far it has come on its way in.
            wanted, end = chance.randint(0, 14), time.monotonic() + 5
            involved = []
            while len(involved) < wanted and client.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
                involved = [*tree.descendants(client.pid), *far()]
            seen |= {(pid, _started_at(pid)) for pid in involved}
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice([client.pid, *involved]), signal.SIGKILL)
            # Some see for themselves that the other end is gone.
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(chance.random())
            client.kill()
    until(lambda: far() == [], "the far ends are gone")
    until(lambda: _inside(run) == inside_before, "what was inside is gone")
    until(lambda: not any(at and _started_at(pid) == at for pid, at in seen), "all are gone")
    (snapshot,) = (each for each in on_hosts() if each.environments)
    assert len(snapshot.leases) == 1
    # The next one deletes the files of dead leases.
    assert said(home, "echo $GENVX_RUN_ID") == f"{run}\n"
    until(lambda: far() == [])
    assert files() == files_before
