"""genvx run as a parent: streams, signals, exit codes."""

from __future__ import annotations

import os
import signal

import pytest

from genvx.errors import CommandNotFound
from genvx.local.host import LocalHost
from genvx.local.running import supervise
from genvx.local.running.hold import find_command
from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    alive,
    child_of,
    end,
    genvx_argv,
    genvx_env,
    start_genvx,
    until,
)


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exit 255", 255)],
)
def test_the_exit_code_is_the_commands_own(state, command, code):
    assert run_genvx("run", "-g", "1", "--", "sh", "-c", command).returncode == code


def test_streams_go_through_unchanged(state):
    answer = run_genvx(
        "run", "-g", "0", "--", "sh", "-c", "cat; echo no >&2", input="a\nb", stdin=None
    )
    assert (answer.stdout, answer.stderr) == ("a\nb", "no\n")


def test_words_with_spaces_quotes_and_unicode_arrive_as_they_are(state):
    words = ["a b", "it's", 'say "x"', "$HOME;`id`", "日本\t", "", "-g", "--help", "\n"]
    answer = run_genvx("run", "--", "printf", "<%s>", *words)
    assert answer.stdout == "".join(f"<{word}>" for word in words)


def test_options_after_the_command_are_the_commands(state):
    answer = run_genvx("run", "-g", "1", "echo", "-g", "2", "--name", "x")
    assert answer.stdout == "-g 2 --name x\n"


def test_a_command_that_is_not_there_takes_nothing(state):
    answer = run_genvx("run", "-g", "1", "--", "no-such-program")
    assert (answer.returncode, answer.stderr) == (
        127,
        "genvx: command not found: no-such-program\n",
    )


def test_where_python_has_only_its_other_name_the_error_says_so(tmp_path):
    (tmp_path / "python3").symlink_to("/bin/true")
    with pytest.raises(CommandNotFound, match=r"^command not found: python; python3 is there$"):
        find_command(["python"], {"PATH": str(tmp_path)})
    with pytest.raises(CommandNotFound, match=r"^command not found: python$"):
        find_command(["python"], {"PATH": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "genvx: without --gpus the command holds no GPU, and sees none\n"),
        (["--gpus", "0"], ""),
        (["--gpus", "1"], ""),
        (["--gpu-memory", "1G"], ""),
    ],
)
def test_a_run_that_names_no_gpus_says_that_it_holds_none(state, options, said):
    answer = run_genvx("run", *options, "--", "true")
    assert (answer.returncode, answer.stderr) == (0, said)


def test_the_command_sees_the_variables_of_its_grant(state):
    answer = run_genvx(
        "run", "-g", "2", "-n", "my env", "--", "sh", "-c",
        'echo "$GENVX_DEVICES|$GENVX_ENVIRONMENT_NAME|$CUDA_DEVICE_ORDER";'
        "echo $CUDA_VISIBLE_DEVICES",
    )  # fmt: skip
    shown, devices = answer.stdout.splitlines()
    assert shown == "0,1|my env|PCI_BUS_ID"
    assert devices == ",".join(d.uuid for d in LocalHost().snapshot().devices)


def test_without_gpus_cuda_sees_none(state):
    answer = run_genvx("run", "--", "sh", "-c", "echo [${CUDA_VISIBLE_DEVICES-unset}]")
    assert answer.stdout == "[]\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_sent_to_genvx_reach_the_command_once(state, number):
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got' {name}; echo ready; for i in 1 2 3; do sleep 0.3; done; echo end"
    process = start_genvx("run", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    assert process.communicate()[0] == "got\nend\n"
    assert process.returncode == 0


def test_ctrl_c_in_a_terminal_reaches_the_command_once(state):
    script = "trap 'echo got' INT; echo ready; for i in 1 2 3; do sleep 0.3; done; echo the-end"
    terminal = Terminal(genvx_argv("run", "--", "sh", "-c", script), genvx_env())
    terminal.expect("ready")
    terminal.key("\x03")
    shown = terminal.expect("the-end")
    assert shown.count("got") == 1
    assert terminal.end() == 0


def test_ctrl_z_stops_both_and_fg_continues_them(state, tmp_path):
    # It says when it goes on: keys that come while bash still has the terminal are bash's.
    (tmp_path / "script").write_text(
        "trap 'echo on again' CONT\necho up\nwhile ! read x; do :; done\necho got $x.\n"
    )
    terminal = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], genvx_env(PS1="ready> "))
    terminal.expect("ready> ")
    terminal.line(" ".join(genvx_argv("run", "--", "sh", "script")))
    terminal.expect("up\r\n")
    terminal.key("\x1a")
    terminal.expect("Stopped")
    terminal.expect("ready> ")
    terminal.line("fg")
    terminal.expect("on again\r\n")
    terminal.line("words")
    terminal.expect("got words.")
    terminal.line("exit")
    terminal.end()


def test_killing_genvx_does_not_take_the_devices_from_a_running_command(state):
    process = start_genvx("run", "-g", "2", "--", "sleep", "600")
    (environment,) = until(lambda: LocalHost().snapshot().environments)
    command = child_of(process.pid)
    process.kill()
    process.wait()
    assert alive(command)
    assert [e.id for e in LocalHost().snapshot().environments] == [environment.id]
    end(process)
    until(lambda: not LocalHost().snapshot().environments)


def test_the_command_does_not_inherit_ignored_signals(state):
    answer = run_genvx(
        "run", "--", "sh", "-c", "grep SigIgn /proc/self/status; grep SigBlk /proc/self/status"
    )
    assert sorted(answer.stdout.split()) == ["0" * 16, "0" * 16, "SigBlk:", "SigIgn:"]


def test_a_command_whose_parent_died_before_it_could_ask_hangs_up():
    pid = os.fork()
    if pid == 0:
        supervise._die_with_parent(os.getpid())  # anybody but our parent, which lives
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGHUP
