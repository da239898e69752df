"""genvx ssh RUN: shells and commands inside of live runs, here and on hosts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.doors import door
from tests.helpers import (
    PATIENCE,
    Terminal,
    end_all_of,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    start_genvx,
    start_up,
    states_on_hosts,
    until,
)

pytestmark = pytest.mark.needs("openssh", "bash")

# What somebody has who knows nothing of genvx: no variable of ours, and no genvx on the PATH.
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/", "TERM": "xterm"}
SLEEP = ("--", "sleep", "1000")


@pytest.fixture(autouse=True)
def _no_runs_left(short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    yield
    end_all_of(short_tmp)


def started(*words, remote=True):
    answer = run_genvx(*(["remote"] if remote else []), "run", "-d", *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.fixture
def hosts(sandbox):
    return sandbox


@pytest.fixture
def run(hosts):
    return started("-g", "1", "-n", "train", "--env", "A=b c", *SLEEP)


@pytest.mark.parametrize("via", ["openssh", "builtin"])
def test_a_shell_inside_is_as_activate_opens_it(run, via):
    shell = Terminal(genvx_argv("remote", "ssh"), genvx_env(GENVX_TERMINAL=via))
    shell.expect(f"genvx: in run {run} (train) on gpu-server-1: GPU 0\r\n")
    prompt = "(genvx train) gpu-server-1 $ "
    shell.expect(prompt)
    shell.line('echo "$PWD:$A:$GENVX_RUN_ID:$GENVX_DEVICES"')
    shell.expect(f"/genvx/runs/{run}/work:b c:{run}:0\r\n")
    shell.child.setwinsize(33, 77)
    shell.line("while [ \"$(stty size)\" != '33 77' ]; do sleep 0.1; done; echo res''ized")
    shell.expect("resized")
    shell.line("sh -c 'echo u''p; sleep 1000'")
    shell.expect("up\r\n")
    shell.key("\x03")
    shell.expect("^C")
    shell.expect(prompt)
    shell.line("exit 75")
    assert shell.end() == 75
    assert held_on_hosts() == ["train"]


def test_a_command_has_our_streams_and_a_terminal_only_if_we_have_one(run):
    line = "cat; echo no >&2; tty; pwd; exit 7"
    done = run_genvx("remote", "ssh", run[:6], "--", "sh", "-c", line, input="in\n", stdin=None)
    assert re.fullmatch(rf"in\nnot a tty\n/.*/runs/{run}/work\n", done.stdout)
    said = f"genvx: in run {run} (train) on gpu-server-1: GPU 0\nno\n"
    assert (done.stderr, done.returncode) == (said, 7)
    done = run_genvx("remote", "ssh", "-q", "--", "sh", "-c", "kill -9 $$")
    assert (done.stderr, done.returncode) == ("", 137)
    listed = run_genvx("remote", "ssh", "train", "-q", "--", "ps", "-eo", "args")
    assert "sleep 1000\n" in listed.stdout
    terminal = Terminal(genvx_argv("remote", "ssh", "--", "sh", "-c", "tty; exit 4"), genvx_env())
    terminal.expect("/dev/pts/")
    assert terminal.end() == 4
    missing = run_genvx("remote", "ssh", run, "--", "nothing-like-it")
    assert (missing.returncode, missing.stderr.count("\n")) == (127, 1)


def test_what_cannot_be_entered_is_one_line_that_says_why(hosts):
    held = started("-g", "1", "-n", "first", "--hold", "1h", "--", "sh", "-c", "exit 7")
    until(lambda: states_on_hosts(held) == ["held"], "it is held")
    assert run_genvx("remote", "ssh", "-q", held, "--", "printenv", "GENVX_RUN_ID").stdout == (
        f"{held}\n"
    )
    words = ("--only-host", "gpu-server-1", "-g", "1", "--wait")
    waiting = started(*words, *SLEEP)
    refused = {
        waiting: f"run {waiting} waits in line: place 1",
        "nope": "no run 'nope'; genvx remote runs -a lists all",
        "gpu-server-2": "genvx remote -H gpu-server-2 activate opens a shell on a host",
    }
    for word, why in refused.items():
        done = run_genvx("remote", "ssh", word, "--", "true")
        assert (done.stdout, done.returncode, done.stderr.count("\n")) == ("", 2, 1)
        assert why in done.stderr
    # Its directory has no `enter` yet, and it may move to another host.
    for option in ((), ("--print",)):
        done = run_genvx("remote", "ssh", *option, waiting)
        assert (done.stdout, done.returncode) == ("", 2)
        assert f"genvx remote ssh --wait {waiting} enters it when it starts" in done.stderr
    late = run_genvx("remote", "ssh", "--wait=0.1s", waiting, "--", "true")
    assert (late.returncode, "has not started in time" in late.stderr) == (124, True)
    impatient = start_genvx("remote", "ssh", "--wait", waiting)
    assert " waits in line on gpu-server-1: place 1 " in impatient.stderr.readline()
    impatient.send_signal(signal.SIGINT)
    _, said = impatient.communicate(timeout=PATIENCE)
    assert impatient.returncode == 130
    assert said == (
        f"genvx: run {waiting} waits on; "
        f"genvx remote ssh --wait {waiting} enters it when it starts\n"
    )
    run_genvx("remote", "runs", "stop", "--all", "--force")
    for option, run, how in (
        ("--wait", held, "exit code 7"),
        ("--print", waiting, "stopped (asked)"),
    ):
        done = run_genvx("remote", "ssh", option, run)
        assert (done.stdout, done.returncode) == ("", 2)
        assert done.stderr.endswith(f" is over: {how}\n"), done.stderr


def test_who_waits_for_a_run_enters_it_on_the_host_to_which_it_has_moved(make_sandbox):
    make_sandbox("1", "1")
    blockers = [started("-g", "1", *SLEEP) for _ in range(2)]
    run = started("-g", "1", "--wait", *SLEEP)
    line = ("--", "sh", "-c", "echo $GENVX_RUN_ID; hostname")
    waiting = start_genvx("remote", "ssh", "--wait", run, *line)
    first = waiting.stderr.readline()
    source = re.fullmatch(rf"genvx: run {run} waits in line on (\S+): place 1 .*\n", first)[1]
    target = "gpu-server-2" if source == "gpu-server-1" else "gpu-server-1"
    where = run_genvx("remote", "runs").stdout
    blocker = next(each for each in blockers if re.search(rf"{target} +{each}", where))
    run_genvx("remote", "runs", "stop", "--force", blocker)
    assert run_genvx("remote", "runs", "move", run).returncode == 0
    out, said = waiting.communicate(timeout=PATIENCE)
    assert (out.splitlines()[0], waiting.returncode) == (run, 0)
    assert f"genvx: in run {run} on {target}: GPU 0\n" in said
    run_genvx("remote", "runs", "stop", "--all", "--force")


SHELLS = [
    pytest.param(shell, marks=pytest.mark.needs(shell))
    for shell in ("bash", "zsh", "fish", "tcsh", "dash")
]


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_the_printed_line_and_is_a_login_shell_inside(
    short_tmp, agent_cache, monkeypatch, shell
):
    shutil.copytree(agent_cache, short_tmp / "cache")
    # fish asks at its first start, and has no manual pages to read here.
    start_up(short_tmp / "home", ".config/fish/config.fish", "set -g fish_greeting\n")
    monkeypatch.delenv("GENVX_RUNS_DIR")
    with door("openssh", short_tmp, shell=shutil.which(shell)) as host:
        environ = host.environ(f"IdentityFile {host.key}", "IdentityAgent none")

        def remote(*words):
            return run_genvx("remote", "-H", "door", *words, env=environ)

        begun = remote("run", "-d", "-g", "1", *SLEEP)
        assert begun.returncode == 0, begun.stderr
        run = begun.stdout.strip()
        assert remote("ssh", "-q", run, "--", "printenv", "GENVX_RUN_ID").stdout == f"{run}\n"
        words = ("--", "sh", "-c", 'printf \'%s:\' "$1" "$GENVX_RUN_ID"; exit 7', "sh", "it's {a}")
        line = remote("ssh", "--print", run, *words).stdout.strip()
        assert " -t " not in line  # a terminal would change what a command prints
        done = subprocess.run(
            [shutil.which(shell), "-c", line], stdin=subprocess.DEVNULL, stdout=-1, env=PLAIN
        )
        assert (done.stdout, done.returncode) == (f"it's {{a}}:{run}:".encode(), 7)
        line = remote("ssh", "--print", run).stdout.strip()
        terminal = Terminal(["sh", "-c", line], PLAIN)
        terminal.expect(f"in run {run} on ")
        terminal.expect(": GPU 0\r\n")
        terminal.expect("(genvx) ")
        terminal.line("sh -c 'echo $GENVX_RUN_ID:$CUDA_VISIBLE_DEVICES'; pwd")
        terminal.expect(f"{run}:SIM-")
        terminal.expect(f"/runs/{run}/work")
        terminal.line("exit 5")
        assert terminal.end() == 5
        remote("runs", "stop", "--all", "--force")


def test_a_run_behind_a_jump_host_is_entered_and_so_is_its_printed_line(hosts):
    config = Path(hosts.ssh_config)
    text = config.read_text()
    config.write_text(
        text.replace("Host gpu-server-2", "Host gpu-server-2\n ProxyJump gpu-server-1")
    )
    run = started("-g", "2", *SLEEP)
    assert (
        run_genvx("remote", "ssh", "-q", run, "--", "printenv", "GENVX_DEVICES").stdout == "0,1\n"
    )
    line = run_genvx("remote", "ssh", "--print", run, "--", "printenv", "GENVX_DEVICES").stdout
    done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=-1, env=PLAIN)
    assert done.stdout == b"0,1\n"


def test_a_run_of_this_machine_is_entered_without_ssh(state, tmp_path, monkeypatch):
    venv = tmp_path / "venv/bin"
    venv.mkdir(parents=True)
    (venv / "tool").symlink_to("/bin/echo")
    monkeypatch.setenv("VIRTUAL_ENV", str(venv.parent))
    with monkeypatch.context() as there:
        there.setenv("PATH", f"{venv}:{os.environ['PATH']}")
        run = started("-g", "1", "--env", "A=b", *SLEEP, remote=False)
    monkeypatch.delenv("VIRTUAL_ENV")
    shell = Terminal(genvx_argv("ssh"), genvx_env(HOME=str(tmp_path), SHELL="/bin/bash"))
    shell.expect(f"genvx: in run {run} on localhost: GPU 0\r\n")
    shell.expect("(genvx) ")
    shell.line('echo "$PWD:$A:$GENVX_RUN_ID:$GENVX_DEVICES"; exit 5')
    shell.expect(f"{os.getcwd()}:b:{run}:0\r\n")
    assert shell.end() == 5
    line = "echo $GENVX_RUN_ID $VIRTUAL_ENV; tool x; exit 3"
    done = run_genvx("ssh", "-q", "--", "sh", "-c", line, cwd=tmp_path)
    assert (done.stdout, done.returncode) == (f"{run} {venv.parent}\nx\n", 3)
    assert done.stderr == ""
    done = run_genvx("ssh", "-q", input="echo $GENVX_DEVICES\nexit 4\n", stdin=None)
    assert (done.stdout, done.returncode) == ("0\n", 4)
    done = run_genvx("ssh", "--print")
    assert (done.returncode, done.stderr.endswith(f"; here: genvx ssh {run}\n")) == (2, True)
    done = run_genvx("ssh", run, "ls")
    assert (done.returncode, "write the command after --" in done.stderr) == (2, True)
