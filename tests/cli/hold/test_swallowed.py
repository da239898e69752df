"""Start-up files that never run what ssh was told to run: no shell without its GPUs, and one
line that names the file.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, held_on_hosts, start_genvx, until

pytestmark = pytest.mark.needs("openssh", "bash")


def start_up_file(sandbox, lines, host=0):
    """Put lines before those of a host's .bashrc."""
    path = Path(sandbox.hosts[host].home) / ".bashrc"
    path.write_text(lines + "\n" + path.read_text())


# What people write, and what it does to a shell in a terminal that was given a command.
SWALLOWING = {
    "another shell": ("openssh", "[ -t 1 ] && exec sh -i"),
    "another shell, built-in": ("builtin", "[ -t 1 ] && exec sh -i"),
    "a command of its own": ("openssh", "[ -t 1 ] && { echo welcome; exit 0; }"),
    "a command of its own, built-in": ("builtin", "[ -t 1 ] && { echo welcome; exit 75; }"),
    "a question": ("openssh", "[ -t 1 ] && { echo 'press a key'; read -r x; exit 0; }"),
}


@pytest.mark.parametrize(("via", "lines"), SWALLOWING.values(), ids=SWALLOWING)
def test_a_shell_that_is_swallowed_is_an_error_that_names_the_file(sandbox, lines, via, tmp_path):
    start_up_file(sandbox, lines)
    local = Terminal(
        ["/bin/bash", "--norc", "--noediting", "-i"],
        genvx_env(PS1="local> ", GENVX_TERMINAL=via, GENVX_SIMULATE="1"),
    )
    local.expect("local> ")
    local.line("stty -g > before")
    local.expect("local> ")
    line = " ".join(genvx_argv("remote", "-q", "-t", "3", "activate", "-g", "1"))
    local.line(f"{line}; echo code=$?; stty -g > after")
    said = local.match(r"(genvx: gpu-server-1: [^\r]*)\r\ncode=(\d+)\.?\r\n")
    assert said[2] == "4"
    assert "~/.bashrc" in said[1]
    local.expect("local> ")
    local.line("cmp before after && echo sa''me")
    local.expect("same")
    local.line("exit")
    local.end()
    until(lambda: not held_on_hosts())


def test_a_slow_start_up_file_is_waited_for(sandbox):
    start_up_file(sandbox, "[ -t 1 ] && sleep 5")
    terminal = Terminal(
        genvx_argv(
            "remote", "activate", "-g", "1", "--", "sh", "-c", "echo on $GENVX_DEVICES; exit 5"
        ),
        genvx_env(),
    )
    terminal.expect("on 0\r\n")
    assert terminal.end() == 5


@pytest.mark.parametrize("how", [["-g", "1", "--wait"], ["--id", "mine"]])
def test_waiting_and_joining_know_it_too(sandbox, how):
    holder = start_genvx("remote", "run", "-g", "1", "--name", "mine", "--", "sleep", "600")
    until(held_on_hosts)
    for host in (0, 1):
        start_up_file(sandbox, "[ -t 1 ] && exec sh -i", host)
    terminal = Terminal(genvx_argv("remote", "-t", "3", "activate", *how), genvx_env())
    terminal.match(r"genvx: gpu-server-[12]: .*~/\.bashrc")
    assert terminal.end() == 4
    holder.kill()
    holder.communicate()


QUIET = {
    "another shell": "exec sh",
    "a command of its own": "echo welcome; exit 0",
    "a question of its own": "read answer",
}


@pytest.mark.parametrize("lines", QUIET.values(), ids=QUIET)
def test_a_question_that_is_swallowed_is_one_line_that_names_the_file(sandbox, lines):
    """Long before the host's time is over."""
    start_up_file(sandbox, lines)
    answer = run_genvx("remote", "-t", "30", "devices", timeout=25)
    assert answer.returncode == 4
    assert "gpu-server-2  2      2" in answer.stdout
    (line,) = answer.stderr.splitlines()
    assert line.startswith("gpu-server-1: agent: ")
    assert "start-up file" in line
    assert "~/.bashrc" in line


def test_a_command_goes_to_a_host_that_runs_it(sandbox):
    start_up_file(sandbox, "exec sh", host=0)
    answer = run_genvx("remote", "run", "-g", "1", "--", "printenv", "GENVX_STATE_DIR")
    assert answer.returncode == 0
    assert "gpu-server-2" in answer.stdout
