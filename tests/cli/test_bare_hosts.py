"""genvx in a remote shell on a host where it is not installed, and remote attach, detach, smi and
lock.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, held_on_hosts, start_genvx, until

pytestmark = pytest.mark.needs("openssh", "bash")

PROMPT = "(genvx mine) gpu-server-1 $ "
SHELLS = ("bash", "zsh", "fish", "tcsh", "dash")


@pytest.fixture
def bare(make_sandbox):
    """gpu-server-1 with two GPUs, and no genvx on it."""
    sandbox = make_sandbox("2")
    Path(sandbox.directory, "bin", "genvx").unlink()
    return sandbox


def opened(*words):
    shell = Terminal(
        genvx_argv("remote", "activate", "--gpus", "1", "--name", "mine", *words), genvx_env()
    )
    shell.expect(PROMPT)
    return shell


def said(shell, line):
    """What a line of the shell prints."""
    shell.line(f"{line}; echo e''nd")
    shell.expect("\r\n")
    text = shell.expect("end\r\n")
    shell.expect(PROMPT)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.needs(n)) for n in SHELLS])
def test_status_and_what_is_attached_in_each_shell(bare, name):
    path = Path(bare.hosts[0].home, ".bashrc")
    path.write_text(path.read_text() + f"export SHELL={shutil.which(name)}\n")
    if name == "dash":
        Path(bare.hosts[0].home, ".profile").write_text("PS1='$ '\n")
    shell = Terminal(genvx_argv("remote", "activate", "--gpus", "1", "--name", "mine"), genvx_env())
    shell.expect("(genvx mine) gpu-server-1")
    shell.line("genvx status")
    shell.match(r"environment +mine \([0-9a-f]{8}\)")
    shell.expect("A100-80GB (simulated)")
    shell.expect("(genvx mine) gpu-server-1")
    shell.line("genvx attach -g 1; printenv GENVX_DEVICES")
    shell.match(r"has GPUs 0, 1\r\n(\x1b\S*)?0,1\r\n")
    shell.expect("(genvx mine) gpu-server-1")
    shell.line("genvx deactivate")
    shell.end()
    until(lambda: not held_on_hosts())


def test_tables_are_the_same_as_with_an_installed_genvx(bare):
    shell = opened()
    for verb in ("devices", "envs"):
        there = said(shell, f"genvx {verb}").splitlines()
        here = run_genvx("remote", verb, *(["--by-device"] if verb == "devices" else [])).stdout
        assert [line.split()[1:] for line in here.splitlines()[:1]] == [there[0].split()]
        assert there[-1] in here
    assert said(shell, "genvx smi").startswith("GPU  NAME")
    shell.line("exit")
    shell.end()


def test_what_is_attached_and_detached_there_is_seen_at_the_next_prompt(bare):
    shell = opened()
    assert "has GPUs 0, 1" in said(shell, "genvx attach -g 1")
    assert said(shell, "echo $GENVX_DEVICES") == "0,1\n"
    assert "has GPU 1" in said(shell, "genvx detach --device 0")
    assert said(shell, "echo $GENVX_DEVICES") == "1\n"
    shell.line("exit")
    shell.end()


def test_scripts_and_locks_find_it_and_exit_codes_are_right(bare):
    shell = opened()
    assert said(shell, "sh -c 'genvx lock -- sh -c \"echo on; exit 7\"'; echo $?") == "on\n7\n"
    assert said(shell, "genvx lock -- nosuch; echo $?").endswith("\n127\n")
    assert said(shell, "genvx status >&-; genvx devices | head -1 >/dev/null; echo $?") == "0\n"
    assert "cannot write the output" in said(shell, "genvx devices >/dev/full")
    shell.line("exit")
    shell.end()


def test_what_it_cannot_is_one_line_that_fits_and_code_2(bare):
    shell = opened()
    for line, answer in (
        ("run -g 1 -- true", "no run here, where genvx is not installed; see genvx --help"),
        ("devices --json", "no --json here; from your own machine: genvx remote devices --json"),
        ("detach --gpus 1", "detach has no --gpus; --device 0,3 takes GPUs away, and without it"),
        ("envs -w", "envs: option -w not recognized; see genvx --help"),
        ("attach -g x", "1 x GPU wanted, but this host has none"),
        ("smi y", "smi: one word too many: y"),
    ):
        first, code = said(shell, f"genvx {line} 2>&1; echo $?").splitlines()
        assert first.startswith(f"genvx: {answer}")
        assert len(first) <= 80, first
        assert code == "2", line
    assert max(map(len, said(shell, "genvx --help").splitlines())) <= 80
    shell.line("exit")
    shell.end()


def test_an_agent_that_was_cleaned_away_is_said_with_what_to_do(bare):
    shell = opened()
    for agent in Path(bare.directory, "cache", "genvx").glob("agent-*"):
        agent.unlink()
    assert "activate a shell on this host again" in said(shell, "genvx status 2>&1")
    shell.line("exit")
    shell.end()


def test_nobody_else_may_write_it_and_an_installed_genvx_wins(sandbox):
    shell = opened()
    assert said(shell, "type -P genvx") == f"{sandbox.directory}/bin/genvx\n"
    (program,) = Path(sandbox.directory, "cache", "genvx").glob("bin-*/genvx")
    assert (program.stat().st_mode & 0o777, program.parent.stat().st_mode & 0o777) == (0o700,) * 2
    shell.line("exit")
    shell.end()


# From one's own machine


def answered(*words):
    answer = run_genvx("remote", *words)
    return answer.returncode, answer.stdout, answer.stderr


def test_an_environment_on_a_host_gets_more_and_fewer_devices(bare):
    run_genvx("remote", "acquire", "-g", "1", "--for", "5m", "--name", "job")
    code, out, _ = answered("attach", "--id", "job", "-g", "1")
    assert (code, out.split("(")[0], out[-29:]) == (
        0, "Environment job ", "has GPUs 0, 1 on gpu-server-1"[-28:] + "\n",
    )  # fmt: skip
    code, out, _ = answered("smi", "--id", "job", "--json")
    assert [device["label"] for device in json.loads(out)["hosts"][0]["devices"]] == ["0", "1"]
    code, out, _ = answered("detach", "--id", "job", "--device", "0", "--json")
    assert len(json.loads(out)["hosts"][0]["devices"]) == 1
    assert answered("detach", "--id", "job", "--device", "7")[0] == 2
    assert answered("attach", "-g", "1")[::2] == (
        2, "genvx: no environment is named; give the id or name of one with --id\n",
    )  # fmt: skip
    assert answered("smi", "--id", "other")[0] == 2


def test_commands_from_anywhere_take_turns_on_a_hosts_devices(bare):
    run_genvx("remote", "acquire", "-g", "1", "--for", "5m", "--name", "job")
    first = start_genvx("remote", "lock", "--id", "job", "--", "sh", "-c", "echo on; cat",
                        stdin=-1)  # fmt: skip
    assert first.stdout.readline() == "on\n"
    code, out, error = answered("lock", "--id", "job", "--wait", "1s", "--", "echo", "no")
    assert (code, out) == (124, "")
    assert "waiting for" in error
    assert first.communicate("to its stdin", timeout=30)[0] == "to its stdin"
    line = "echo $GENVX_DEVICES; exit 5"
    assert answered("lock", "--id", "job", "--", "sh", "-c", line)[:2] == (5, "0\n")
    assert answered("lock", "--id", "job", "--", "nosuch")[0] == 127
