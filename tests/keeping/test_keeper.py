"""Commands of genvx remote on connections that the keeper has, and without it whenever it fails."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genvx.keeping import places
from tests.capabilities import USER_A
from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, genvx_argv, genvx_env, until
from tests.keeping.keepers import agents, cold, kept, loaded_by, pids, sessions, start, told

HEAVY = ("fabric", "paramiko", "typer", "click", "cryptography", "subprocess", "hashlib", "secrets")


def devices() -> str:
    answer = run_genvx("remote", "devices")
    assert (answer.returncode, answer.stderr) == (0, ""), answer
    return answer.stdout


def test_a_person_gets_the_same_answers_faster_and_leaves_nothing(make_sandbox, keeps):
    sandbox = make_sandbox("1", "2")
    cold = devices()
    assert not keeps.exists()  # nobody was at a terminal
    terminal = Terminal(genvx_argv("remote", "devices"), genvx_env())
    assert cold.splitlines()[1] in terminal.expect("with 3 available on 2 hosts")
    assert terminal.end() == 0
    (pid,) = until(pids, "a keeper")
    assert kept() == []
    assert devices() == cold
    assert kept() == [host.name for host in sandbox.hosts]

    # The answers are those of this moment, and the command has loaded little.
    with_gpu = run_genvx("remote", "-H", sandbox.hosts[0].name, "acquire", "--gpus=1", "--for=9m")
    assert with_gpu.returncode == 0, with_gpu
    assert loaded_by(HEAVY, "remote", "envs", "--json") == []
    hosts = checked(run_genvx("remote", "envs", "--json"))["hosts"]
    assert [len(host["environments"]) for host in hosts] == [1, 0]
    assert run_genvx("remote", "run", "-q", "--gpus=1", "--", "echo", "here").stdout == "here\n"
    for verb in ("runs", "status", "queue", "policy"):
        warm, cold = run_genvx("remote", verb), run_genvx("remote", verb, env={"GENVX_KEEP": "0"})
        assert (warm.returncode, warm.stderr) == (cold.returncode, cold.stderr)
        assert warm.stdout.split() == cold.stdout.split()

    assert [pid] == pids()
    assert stat_of(keeps) == (0o700, 0o600)
    assert run_genvx("keep", "status").stdout == (
        f"process {pid}: {', '.join(kept())}; ends after 5 min without questions\n"
    )
    shown = checked(run_genvx("keep", "status", "--json"))["processes"]
    assert shown == [{"pid": pid, "hosts": kept(), "idle_seconds": 300.0}]
    assert checked(run_genvx("keep", "stop", "--json"))["processes"] == [{"pid": pid}]
    until(lambda: not alive(pid) and not agents(sandbox), "the keeper and its agents end")
    assert not list(keeps.glob("*.sock"))
    assert checked(run_genvx("keep", "status", "--json"))["processes"] == []
    assert run_genvx("keep", "stop").stdout == "no connections are kept\n"


def stat_of(keeps: Path) -> tuple[int, int]:
    (path,) = keeps.glob("*.sock")
    return keeps.stat().st_mode & 0o777, path.stat().st_mode & 0o777


def test_what_ssh_would_refuse_now_is_refused_with_a_connection_there(make_sandbox, keeps):
    sandbox = make_sandbox("1", "2")
    start()
    assert devices() == devices()
    first = sandbox.hosts[0].name
    known = Path(sandbox.directory, "known_hosts")
    lines = known.read_text().splitlines(keepends=True)
    known.write_text("".join(line for line in lines if not line.startswith(first)))
    warm = run_genvx("remote", "devices")
    assert warm.stderr.startswith(f"{first}: host-key: ")
    assert kept() == [sandbox.hosts[1].name]
    assert told(warm) == cold("remote", "devices")
    known.write_text("".join(lines))
    devices()
    # A host that moves: the name stands for another machine now.
    config = Path(sandbox.ssh_config)
    config.write_text(config.read_text().replace(f"Port {sandbox.hosts[0].port}", "Port 1"))
    warm = run_genvx("remote", "devices")
    assert warm.stderr.startswith(f"{first}: refused: ")
    assert told(warm) == cold("remote", "devices")


def test_a_proxy_command_that_needs_variables_of_the_command_works(
    make_sandbox, keeps, monkeypatch
):
    sandbox = make_sandbox("1", "2")
    start()
    right = devices()
    first, second = sandbox.hosts
    config = Path(sandbox.ssh_config)
    way = f"exec ssh -F {config} -W localhost:{first.port} {second.name}"
    proxy = f"ProxyCommand sh -c 'test -n \"$TEST_TICKET\" || exec sleep 60; {way}'"
    text = config.read_text()
    config.write_text(text.replace(f"Port {first.port}", f"Port {first.port}\n    {proxy}"))
    monkeypatch.setenv("TEST_TICKET", "1")
    for _ in range(2):
        answer = run_genvx("remote", "--timeout=3", "devices")
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, right, "")
    assert kept() == [second.name]


def test_room_that_came_since_the_keeper_looked_is_found(make_sandbox, keeps):
    first, second = (host.name for host in make_sandbox("1", "1").hosts)
    start()

    def acquire(name: str) -> str:
        answer = run_genvx(
            *("remote", "-H", name, "acquire", "--gpus=1", "--for=9m", "--json"),
            env={"GENVX_KEEP": "0"},
        )
        return str(json.loads(answer.stdout)["hosts"][0]["id"])

    environment = acquire(second)
    assert "with 1 available on 2 hosts" in devices()
    # Others change places.
    assert run_genvx("remote", "-H", second, "release", environment).returncode == 0
    joined = acquire(first)
    program = (
        "import sys; from genvx.keeping import warm; warm._SEEN = 600.0; "
        "from genvx.cli.main import run; sys.exit(run(sys.argv[1:]))"
    )
    for wanted in ("--gpus=1", f"--id={joined}"):
        words = ["remote", "run", "-q", wanted, "--", "echo", "here"]
        answer = subprocess.run(
            [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60
        )
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "here\n", "")
        devices()


def test_no_answer_is_wrong_or_missing_whatever_becomes_of_the_keeper(make_sandbox, keeps):
    sandbox = make_sandbox("1", "2")
    start()
    right = devices()

    # Stopped, as by a debugger.
    pid = start()
    os.kill(pid, signal.SIGSTOP)
    assert devices() == right
    os.kill(pid, signal.SIGCONT)

    # Killed, at any moment of a command (F21 of scripts/torture does so more often).
    killer = threading.Timer(random.uniform(0.05, 0.4), os.kill, (pid, signal.SIGKILL))
    killer.start()
    for _ in range(2):
        assert devices() == right
    killer.join()
    assert list(keeps.glob("*.sock"))  # a stale one
    until(lambda: not agents(sandbox), "the agents of killed keepers end")

    # Replaced by a program that says what makes no sense, or nothing.
    (path,) = keeps.glob("*.sock")
    path.unlink()
    for said in (b"", b"\xff\xff\xff\xff", b"\0\0\0\x02{}", b"\0\0\0\x04null"):
        with socket.socket(socket.AF_UNIX) as fake:
            fake.bind(str(path))
            fake.listen()
            threading.Thread(target=_say, args=(fake, said), daemon=True).start()
            assert devices() == right
        path.unlink()
    # And a keeper whose socket is gone ends by itself.
    pid = start()
    path.unlink()
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
    assert devices() == right
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _say(listener: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError):
        sock, _ = listener.accept()
        with sock:
            sock.sendall(said)
            sock.recv(1)


def test_a_host_that_is_silent_or_was_away_answers_again(make_sandbox, keeps):
    sandbox = make_sandbox("1", "2")
    start()
    right = devices()
    assert devices() == right

    # Silent connections, as after a sleep of this machine: nothing comes on them any more.
    for pid in sessions(sandbox):
        os.kill(pid, signal.SIGSTOP)
    stopped = sessions(sandbox)
    assert devices() == right
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # Cut ones, as after a restart of the host.
    for pid in sessions(sandbox):
        os.kill(pid, signal.SIGKILL)
    assert devices() == right
    until(lambda: len(agents(sandbox)) == 2, "no agent is left of connections that are gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_neither_serves_nor_asks_another_user(make_sandbox, keeps, short_tmp):
    make_sandbox("1", "2")
    start()
    right = devices()
    (path,) = keeps.glob("*.sock")
    # As if the modes of directory and socket protected nothing.
    for each in (short_tmp, short_tmp / "run", keeps, path):
        each.chmod(0o777)
    program = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.settimeout(30); print(s.recv(100))"
    )
    theirs = {"user": USER_A, "group": USER_A, "extra_groups": [], "cwd": "/"}
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    answer = subprocess.run(
        [python, "-c", program, str(path)], capture_output=True, text=True, **theirs
    )
    assert answer.stdout == "b''\n"
    # A directory that others may write to is not used.
    assert places.directory(os.environ) != str(keeps)
    for each in (short_tmp / "run", keeps):
        each.chmod(0o700)
    os.kill(pids()[0], signal.SIGKILL)
    path.unlink()
    for each in (short_tmp / "run", keeps):
        each.chmod(0o777)
    program = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); "
        "s.listen(); print(flush=True); c, _ = s.accept(); print(c.recv(100))"
    )
    with subprocess.Popen(
        [python, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, **theirs
    ) as fake:
        assert fake.stdout is not None
        fake.stdout.readline()
        for each in (short_tmp / "run", keeps):
            each.chmod(0o700)
        path.chmod(0o777)
        assert devices() == right
        assert fake.stdout.readline() == "b''\n"  # we said nothing to it
