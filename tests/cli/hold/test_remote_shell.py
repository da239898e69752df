"""The shell on a remote host, through OpenSSH's client and through the built-in terminal,
and what ends it.
"""

from __future__ import annotations

import os
import re
import signal

import pytest

from genvx.sandbox import processes
from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    alive,
    crowded,
    end,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    job,
    start_genvx,
    until,
    waylay,
)

pytestmark = pytest.mark.needs("openssh", "bash")

PROMPT = "(genvx mine) gpu-server-1 $ "


@pytest.fixture(params=["openssh", "builtin"])
def shell(request, sandbox):
    """An activated shell with gpu-server-1's one device."""
    terminal = Terminal(
        genvx_argv("remote", "activate", "--gpus", "1", "--name", "mine"),
        genvx_env(GENVX_TERMINAL=request.param),
    )
    terminal.expect(PROMPT)
    return terminal


def test_the_exit_code_is_the_shells_own_even_75(shell):
    shell.line("exit 75")
    assert shell.end() == 75


def test_keys_belong_to_the_far_end(shell):
    shell.line("sh -c 'echo u''p; read x'")
    shell.expect("up\r\n")
    shell.key("\x03")
    shell.expect("^C")
    shell.expect(PROMPT)
    # It says when it goes on: keys that come while the shell still has the terminal are the
    # shell's.
    shell.line("printf 'trap \"echo on\" CONT; echo up; until read x; do :; done' > s")
    shell.line("echo '; echo ba''ck; read x' >> s; sh s")
    shell.expect("up\r\n")
    shell.key("\x1a")
    shell.expect("Stopped")
    shell.expect(PROMPT)
    shell.line("fg")
    shell.expect("on\r\n")
    shell.line("")
    shell.expect("back\r\n")
    shell.key("\x1c")
    shell.expect(PROMPT)
    shell.line("exit 0")
    shell.end()


def test_text_in_every_script_goes_both_ways(shell):
    shell.line("echo u''p; cat")
    shell.expect("up\r\n")
    shell.line("grüße 日本語 😀")
    shell.expect("grüße 日本語 😀\r\n")
    shell.expect("grüße 日本語 😀\r\n")
    shell.key("\x04")
    shell.expect(PROMPT)
    shell.key("\x04")
    assert shell.end() == 0


def test_a_change_of_size_arrives(shell):
    shell.child.setwinsize(33, 77)
    shell.line("while [ \"$(stty size)\" != '33 77' ]; do sleep 0.1; done; echo res''ized")
    shell.expect("resized")
    shell.line("exit")
    shell.end()


def test_a_large_paste_arrives_whole(shell):
    shell.line("stty -echo; echo u''p; cat > pasted; stty echo; wc -c < pasted; echo do''ne")
    shell.expect("up\r\n")
    line = "x" * 99 + "\n"
    for _ in range(400):
        shell.paste(line)
    shell.key("\x04")
    shell.expect("40000")
    shell.expect("done")
    shell.line("exit")
    shell.end()


@pytest.mark.parametrize("via", ["openssh", "builtin"])
def test_a_program_with_many_files_open_can_open_a_shell(sandbox, via):
    terminal = Terminal(
        crowded(genvx_argv("remote", "activate", "--gpus", "1", "--name", "mine")),
        genvx_env(GENVX_TERMINAL=via),
    )
    terminal.expect(PROMPT)
    terminal.line("exit 75")
    assert terminal.end() == 75


def test_the_terminal_is_restored_afterwards(sandbox):
    local = Terminal(
        ["/bin/bash", "--norc", "--noediting", "-i"],
        genvx_env(PS1="local> ", GENVX_TERMINAL="builtin"),
    )
    local.expect("local> ")
    local.line("stty -g > before")
    local.expect("local> ")
    local.line(" ".join(genvx_argv("remote", "activate", "-g", "1", "--name", "mine")))
    local.expect(PROMPT)
    local.line("exit")
    local.expect("local> ")
    local.line("stty -g > after; cmp before after && echo sa''me")
    local.expect("same")
    local.line("exit")
    local.end()


def test_killing_the_client_frees_the_devices(shell):
    assert len(held_on_hosts()) == 1
    shell.child.kill(signal.SIGKILL)
    until(lambda: not held_on_hosts())


@pytest.mark.parametrize("how", ["openssh", "builtin"])
def test_killing_the_client_of_a_command_in_a_terminal_frees_the_devices(sandbox, how):
    """The far end is the leader of the session, and the only one that the kernel tells."""
    terminal = Terminal(
        genvx_argv("remote", "activate", "-g", "1", "--", "sh", "-c", "echo u''p; sleep 600; :"),
        genvx_env(GENVX_TERMINAL=how),
    )
    terminal.expect("up")
    terminal.child.kill(signal.SIGKILL)
    until(lambda: not held_on_hosts())


def test_a_job_left_behind_keeps_its_devices_until_it_ends(shell, tmp_path):
    line, told = job(tmp_path)
    shell.line(f"({line})")
    pid = told()
    shell.line("exit")
    shell.end()
    assert held_on_hosts() == ["mine"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not held_on_hosts())


def test_a_host_that_ends_the_connection_ends_the_shell(shell):
    shell.line("echo pid=$PPID.")
    pid = int(shell.match(r"pid=(\d+)\.")[1])
    os.kill(pid, signal.SIGKILL)
    assert shell.end() != 0
    until(lambda: not held_on_hosts())


def test_activate_with_a_command_runs_it_in_the_terminal(sandbox):
    terminal = Terminal(
        genvx_argv(
            "remote", "activate", "-g", "2", "--", "sh", "-c", "tty; echo $GENVX_DEVICES; exit 4"
        ),
        genvx_env(),
    )
    terminal.expect("/dev/pts/")
    terminal.expect("0,1")
    assert terminal.end() == 4


@pytest.mark.parametrize("via", ["openssh", "builtin"])
def test_a_host_that_was_taken_meanwhile_is_passed_over(make_sandbox, via):
    """Both hosts look free to the snapshot; the first is taken before the shell is there."""
    sandbox = make_sandbox("1", "1")
    # As rivals do, but without having to be fast: the first host's far end takes the device before
    # it answers for the second time.
    genvx, seen = f"{sandbox.directory}/bin/genvx", f"{sandbox.directory}/seen"
    waylay(
        sandbox,
        "gpu-server-1",
        f"if mkdir {seen} 2>/dev/null; then :; elif mkdir {seen}/taken 2>/dev/null; then "
        f"{genvx} run -g 1 -- sleep 600 >/dev/null 2>&1 & "
        f"until {genvx} envs --csv --no-header | grep -q .; do sleep 0.1; done; fi",
    )
    terminal = Terminal(genvx_argv("remote", "activate", "-g", "1"), genvx_env(GENVX_TERMINAL=via))
    assert "gpu-server-1" not in terminal.expect("(genvx) gpu-server-2 $ ")
    terminal.line("exit")
    assert terminal.end() == 0


LANDED = r"genvx: on gpu-server-1: GPU 0; environment mine \([0-9a-f]{8}\)"


@pytest.mark.parametrize("verb", ["activate", "run"])
def test_a_shell_and_a_job_say_where_they_landed_before_anything_else(sandbox, verb):
    terminal = Terminal(
        genvx_argv("remote", verb, "-g", "1", "--name", "mine", "--", "echo", "o''n"), genvx_env()
    )
    said = terminal.match(f"{LANDED}\r\n")
    assert said.string[: said.start()].count("o''n") == 0
    terminal.expect("o''n")
    assert terminal.end() == 0


def test_what_is_quiet_does_not_say_where_it_landed(sandbox):
    assert run_genvx("remote", "-q", "run", "-g", "1", "--", "true").stderr == ""
    answer = run_genvx("remote", "run", "-g", "0", "--", "true")
    assert re.fullmatch(r"genvx: on gpu-server-1: no GPU; environment \w{8}\n", answer.stderr)
    answer = run_genvx("remote", "run", "--gpu-memory", "10G", "--", "true")
    assert "gpu-server-1: 10 GiB of GPU 0; " in answer.stderr


# Without a terminal


def test_a_shell_without_a_terminal_reads_its_commands_from_stdin(sandbox):
    answer = run_genvx(
        "remote", "activate", "-g", "2", input="echo on $GENVX_DEVICES\nexit 3\n", stdin=None
    )
    assert (answer.stdout, answer.returncode) == ("on 0,1\n", 3)


def test_streams_and_exit_codes_of_a_remote_command_are_its_own(sandbox):
    answer = run_genvx(
        "remote",
        "-q",
        "run",
        "-g",
        "1",
        "--",
        "sh",
        "-c",
        "cat; echo no >&2; exit 7",
        input="in",
        stdin=None,
    )
    assert (answer.stdout, answer.stderr, answer.returncode) == ("in", "no\n", 7)


def test_a_remote_command_ended_by_a_signal_has_the_shells_code(sandbox):
    assert run_genvx("remote", "run", "--", "sh", "-c", "kill -9 $$").returncode == 137


def test_a_connection_that_is_cut_is_one_line_and_the_host_ends_the_command(sandbox):
    script = "echo $$; exec sleep 600"
    process = start_genvx("remote", "-q", "run", "-g", "1", "--", "sh", "-c", script)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    # The process of sshd that serves this connection: the far end's parent's parent, or its parent.
    tree = processes.table()
    agent = tree[pid][0]
    os.kill(tree[agent][0], signal.SIGKILL)
    out, error = process.communicate(timeout=20)
    assert (process.returncode, out, error.count("\n")) == (4, "", 1)
    assert "the connection ended before the command did" in error
    until(lambda: not alive(pid))
    until(lambda: not held_on_hosts())


def test_a_remote_command_whose_far_end_is_killed_is_ended_at_its_time(sandbox):
    line = "trap '' HUP; echo $$; while :; do sleep 0.1; done"
    process = start_genvx("remote", "run", "-g", "1", "--time", "3s", "--", "sh", "-c", line)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.kill(processes.table()[pid][0], signal.SIGKILL)
    until(lambda: not alive(pid), "the command ends")
    until(lambda: not held_on_hosts())
    process.communicate(timeout=20)


def test_words_and_names_survive_the_way_to_the_host(sandbox):
    words = ["a b", "it's", 'say "x"', "$HOME;`id`!", "日本\t", "", "--help", "a\nb", "\\"]
    answer = run_genvx("remote", "run", "-n", 'it\'s "ä" $(x)', "--", "printf", "<%s>", *words)
    assert answer.stdout == "".join(f"<{word}>" for word in words)
    answer = run_genvx(
        "remote", "run", "-n", 'it\'s "ä" $(x)', "--", "printenv", "GENVX_ENVIRONMENT_NAME"
    )
    assert answer.stdout == 'it\'s "ä" $(x)\n'


def test_a_large_output_arrives_whole_and_a_closed_pipe_ends_quietly(sandbox):
    answer = run_genvx("remote", "run", "--", "head", "-c", "5000000", "/dev/zero")
    assert len(answer.stdout) == 5_000_000
    first = start_genvx("remote", "run", "--", "yes")
    assert first.stdout is not None
    assert first.stdout.readline() == "y\n"
    first.stdout.close()
    first.wait(timeout=20)
    assert first.stderr is not None
    assert "Traceback" not in first.stderr.read()
    first.stderr.close()
    until(lambda: not held_on_hosts())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_are_forwarded_to_the_remote_command(sandbox, number):
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got; exit 5' {name}; echo ready; while :; do sleep 0.1; done"
    process = start_genvx("remote", "run", "-g", "1", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate(timeout=20)[0] == "got\n"
    assert process.returncode == 5


def test_a_second_ctrl_c_cuts_the_connection_and_the_host_ends_the_command(sandbox):
    script = "trap 'echo no' INT; echo $$; while :; do sleep 0.1; done"
    process = start_genvx("remote", "run", "-g", "1", "--", "sh", "-c", script)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "no\n"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    until(lambda: not alive(pid))
    until(lambda: not held_on_hosts())
    end(process)


@pytest.mark.parametrize("stdin", ["open", "closed"])
def test_killing_a_client_without_a_terminal_frees_the_devices(sandbox, stdin):
    read, write = os.pipe()
    process = start_genvx("remote", "run", "-g", "2", "--", "sleep", "600", stdin=read)
    os.close(read)
    if stdin == "closed":
        os.close(write)
    until(held_on_hosts)
    process.kill()
    process.wait()
    until(lambda: not held_on_hosts())
    end(process)
    if stdin == "open":
        os.close(write)


def test_a_nohup_job_outlives_a_killed_client_and_is_shown(sandbox, tmp_path):
    line, told = job(tmp_path)
    process = start_genvx(
        "remote", "run", "-g", "1", "-n", "night", "--", "sh", "-c",
        f"{line} sleep 600",
    )  # fmt: skip
    pid = told()
    process.kill()
    process.wait()
    end(process)
    asked = ("remote", "devices", "--csv", "--no-header", "--fields", "available")
    assert run_genvx(*asked).stdout.splitlines().count("0") == 1
    assert held_on_hosts() == ["night"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not held_on_hosts())
