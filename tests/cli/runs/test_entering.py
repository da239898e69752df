"""The script `enter` of a run, by which a plain ssh comes into it: shells, commands, sessions."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from genvx.sandbox import processes
from tests.capabilities import old_pythons
from tests.conftest import run_genvx
from tests.helpers import Terminal, alive, held_on_hosts, states_on_hosts, until

pytestmark = pytest.mark.needs("openssh", "bash")

# What somebody has who knows nothing of genvx: no variable of ours, and no genvx on the PATH.
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/", "TERM": "xterm"}
PROMPT = "(genvx train) $ "


class Entrance:
    """A run on gpu-server-1, with its one GPU, and the way into it."""

    def __init__(self, sandbox, *options, command=("sleep", "1000")):
        self.sandbox = sandbox
        words = ("-g", "1", "-n", "train", "--env", "A=b c", *options, "--", *command)
        begun = run_genvx("remote", "run", "-d", "--only-host", "gpu-server-1", *words)
        assert begun.returncode == 0, begun.stderr
        self.id = begun.stdout.strip()
        home = Path(sandbox.hosts[0].home)
        self.directory = home / ".local/share/genvx/runs" / self.id
        self.script = self.directory / "enter"

    def argv(self, *words, terminal=False):
        options = ["-tt"] if terminal else []
        config = ["-F", self.sandbox.ssh_config]
        return ["ssh", *config, *options, "gpu-server-1", str(self.script), *words]

    def run(self, *words):
        return subprocess.run(
            self.argv(*words), capture_output=True, text=True, env=PLAIN, stdin=subprocess.DEVNULL
        )

    def terminal(self):
        terminal = Terminal(self.argv(terminal=True), PLAIN)
        terminal.expect(f"in run {self.id} (train) on ")
        terminal.expect(": GPU 0\r\n")
        terminal.expect(PROMPT)
        return terminal

    def stop(self):
        return run_genvx("remote", "runs", "stop", "--force", self.id)


@pytest.fixture
def run(sandbox):
    found = Entrance(sandbox)
    yield found
    found.stop()


def test_two_terminals_in_a_run_have_its_directory_devices_and_variables(run):
    first, second = run.terminal(), run.terminal()
    first.line("touch seen; exit 5")
    assert first.end() == 5
    second.line('ls; pwd; echo "$GENVX_RUN_ID:$A:$GENVX_DEVICES:$GENVX_RUN_DIR"')
    second.expect("seen\r\n")
    second.expect(f"{run.directory}/work\r\n")
    second.expect(f"{run.id}:b c:0:{run.directory}\r\n")
    second.expect(PROMPT)
    second.child.setwinsize(33, 77)
    second.line("while [ \"$(stty size)\" != '33 77' ]; do sleep 0.1; done; echo res''ized")
    second.expect("resized")
    second.expect(PROMPT)
    second.line("sh -c 'echo u''p; sleep 1000'")
    second.expect("up\r\n")
    second.key("\x03")
    second.expect("^C")
    second.expect(PROMPT)
    second.line("echo co''de $?")
    second.expect("code 130")
    second.line("exit 0")
    assert second.end() == 0
    assert held_on_hosts() == ["train"]


def test_a_command_inside_is_like_one_of_ssh(run):
    line = "'pwd; echo \"$A $GENVX_RUN_ID\"; echo no >&2; exit 7'"
    done = run.run("sh", "-c", line)
    assert done.stdout == f"{run.directory}/work\nb c {run.id}\n"
    assert (done.stderr, done.returncode) == ("no\n", 7)
    assert run.run("--", "sh", "-c", "'kill -9 $$'").returncode == 137
    assert run.run("nothing-like-it").returncode == 127
    refused = run.run("--what")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_session_of_sshd_is_a_line_a_login_shell_or_an_sftp_server(run, tmp_path):
    def session(original, **options):
        return subprocess.run(
            [run.script, "--session"],
            capture_output=True,
            text=True,
            env={**PLAIN, "HOME": str(tmp_path), "SSH_ORIGINAL_COMMAND": original},
            **options,
        )

    done = session('echo "$GENVX_RUN_ID" | cat; exit 3', stdin=subprocess.DEVNULL)
    assert (done.stdout, done.returncode) == (f"{run.id}\n", 3)
    done = session("", input="shopt -q login_shell && echo $GENVX_DEVICES; exit 4\n")
    assert (done.stdout, done.returncode) == ("0\n", 4)
    done = session("  ", stdin=subprocess.DEVNULL)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    (run.directory / "work/model").write_text("weights")
    for server in ("internal-sftp", "/nowhere/sftp-server"):
        server = f"env SSH_ORIGINAL_COMMAND={server} {run.script} --session"
        words = ["sftp", "-q", "-b", "-", "-D", server]
        subprocess.run(words, input=f"get model {tmp_path}\n", text=True, check=True, env=PLAIN)
        assert (tmp_path / "model").read_text() == "weights"
        (tmp_path / "model").unlink()


def test_who_is_inside_ends_with_their_client_or_their_parent(run):
    """Without a terminal, too, where the kernel tells nobody."""
    for victim in ("client", "parent"):
        process = subprocess.Popen(
            run.argv("sh", "-c", "'echo $$; exec sleep 1000'"),
            stdout=subprocess.PIPE,
            text=True,
            env=PLAIN,
        )
        assert process.stdout is not None
        inside = int(process.stdout.readline())
        if victim == "client":
            process.kill()
        else:
            os.kill(processes.table()[inside][0], signal.SIGKILL)
        process.communicate()
        until(lambda inside=inside: not alive(inside), f"it ends with its {victim}")
    assert held_on_hosts() == ["train"]


def test_a_held_run_is_entered_and_one_that_is_over_says_how_it_ended(sandbox):
    run = Entrance(sandbox, "--hold", "1h", command=("sh", "-c", "exit 7"))
    until(lambda: states_on_hosts(run.id) == ["held"], "it is held")
    assert run.run("printenv", "GENVX_RUN_ID").stdout == f"{run.id}\n"
    run.stop()
    done = run.run("true")
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == f"genvx: run {run.id} (train) is over: exit code 7\n"


@pytest.mark.skipif(not old_pythons(), reason="no other Python")
def test_the_oldest_python_enters_and_an_agent_that_is_gone_is_one_line(sandbox):
    hostfile = Path(sandbox.hostfile)
    lines = hostfile.read_text().splitlines()
    hostfile.write_text("".join(f"{line} python={old_pythons()[0]}\n" for line in lines))
    run = Entrance(sandbox)
    assert old_pythons()[0] in run.script.read_text()
    assert run.run("printenv", "GENVX_DEVICES").stdout == "0\n"
    for agent in Path(sandbox.directory, "cache/genvx").glob("agent-*"):
        agent.unlink()
    done = run.run("true")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert f"genvx remote ssh {run.id}" in done.stderr
    run.stop()
