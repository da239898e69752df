"""genvx top in a terminal: over SSH in tmux, and how the terminal is left."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import termios

import pytest

from genvx.shown.cells import width
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, until

# A host whose answers are counted, and one that never answers.
_PLAYED = """if True:
    import sys, threading
    from genvx.cli.live import loop
    from genvx.fleet.ask import HostGroup
    from genvx.shown.door import answered
    from genvx.testing import FakeHost

    class Silent(FakeHost):
        def snapshot(self, **more):
            threading.Event().wait()

    if "fault" in sys.argv:
        loop.drawn = lambda *arguments: 1 / 0
    if "prompt" in sys.argv:
        from genvx.cli.ask.prompt import prompt
        from genvx.fleet.ask import HostGroup as Group

        class Asked(FakeHost):
            def snapshot(self, **more):
                global secret
                if secret is None:
                    secret = prompt()("password? ")
                    print("genvx: a note", file=sys.stderr)
                return super().snapshot(**more)

        secret = None
        hosts = [Asked("asked", 3)]
    else:
        hosts = [FakeHost("talks", 2), Silent("silent")]
    sys.exit(answered(lambda: loop.show(HostGroup(hosts, timeout=60))))
"""
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


def played(*words):
    return [sys.executable, "-c", _PLAYED, *words]


@pytest.fixture
def tmux(short_tmp):
    """A tmux of its own: runs its arguments, and returns what it prints."""
    sockets = short_tmp / "t"
    sockets.mkdir()
    env = genvx_env(TMUX_TMPDIR=str(sockets), TERM="xterm-256color")
    for name in ("TMUX", "TMUX_PANE", "NO_COLOR"):
        env.pop(name, None)

    def tmux(*arguments):
        # -u: UTF-8 whatever the locale of the tests is.
        answer = subprocess.run(
            ["tmux", "-u", "-f", "/dev/null", *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=20,
        )
        return answer.stdout

    yield tmux
    tmux("kill-server")


@pytest.mark.needs("openssh", "tmux")
def test_over_ssh_in_tmux_a_run_is_followed_and_stopped_at_every_size(sandbox, tmux):
    def shown():
        lines = tmux("capture-pane", "-p", "-t", "top:").splitlines()
        assert all(width(line) <= 200 for line in lines)
        return "\n".join(lines)

    def press(*keys):
        tmux("send-keys", "-t", "top:", *keys)

    command = ("sh", "-c", "echo epoch 1; exec sleep 600")
    run = run_genvx("remote", "run", "-d", "-g", "1", "--name", "net", "--", *command)
    run = run.stdout.strip()
    argv = shlex.join(genvx_argv("remote", "top"))
    tmux("new-session", "-d", "-s", "top", "-x", "80", "-y", "24", f"{argv}; echo left; exec cat")
    tmux("set", "-g", "status", "off")
    until(lambda: "2 of 3 GPUs free" in shown() and "2 of 2 hosts" in shown(), "hosts are there")
    assert "● leased" in shown()
    assert "SINCE" not in shown()  # for lack of room
    tmux("resize-window", "-t", "top:", "-x", "200", "-y", "50")
    until(lambda: "SINCE" in shown() and "(simulated)" in shown(), "it is drawn anew")
    press("4")
    until(lambda: run in shown() and "running" in shown(), "the run is there")
    press("l")
    until(lambda: "epoch 1" in shown(), "the log is there")
    press("Escape")
    until(lambda: "epoch 1" not in shown(), "the log is closed")
    press("x")
    until(lambda: f"Stop run {run} (net) on" in shown(), "the question is there")
    press("y")
    until(lambda: f"Stopped run {run} (net)" in shown(), "the run has ended")
    until(lambda: "3 of 3 GPUs free" in shown(), "its GPU is free")
    press("q")
    until(lambda: "left" in shown(), "the screen is left")
    assert "GPUs free" not in shown()


def echoes(terminal):
    return bool(termios.tcgetattr(terminal.child.child_fd)[3] & termios.ECHO)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, "\x03", "q", "fault"])
def test_the_terminal_is_as_before_whatever_ends_the_screen(end):
    words = ["fault"] if end == "fault" else []
    terminal = Terminal(played(*words), genvx_env(), size=(24, 80))
    terminal.expect(ENTER)
    if end != "fault":
        # One host answers nothing, and delays nothing.
        terminal.expect("2 of 2 GPUs free")
        assert not echoes(terminal)
    if isinstance(end, str):
        terminal.key(end if end != "fault" else "")
    else:
        os.kill(terminal.child.pid, end)
    terminal.expect("\x1b[?1000l")
    terminal.expect(LEAVE)
    assert echoes(terminal)
    code = {"\x03": 130, "q": 0, "fault": 1}.get(end)
    found = terminal.end()
    if code is None:
        assert terminal.child.signalstatus == end
    else:
        assert found == code


@pytest.mark.needs("bash")
def test_the_screen_can_be_stopped_and_comes_back():
    shell = Terminal(["bash", "--norc", "-i"], genvx_env(PS1="ready> "), size=(24, 80))
    shell.expect("ready> ")
    shell.line(shlex.join(played()))
    shell.expect(ENTER)
    shell.expect("2 of 2 GPUs free")
    shell.key("\x1a")
    shell.expect(LEAVE)
    shell.expect("ready> ")
    shell.line("fg")
    shell.expect(ENTER)
    shell.expect("2 of 2 GPUs free")
    assert not echoes(shell)
    shell.key("q")
    shell.expect(LEAVE)
    shell.line("exit")
    shell.end()


def test_a_password_is_asked_for_beside_the_screen():
    terminal = Terminal(played("prompt"), genvx_env(), size=(24, 80))
    terminal.expect(ENTER)
    terminal.expect(LEAVE)
    terminal.expect("password? ")
    terminal.line("qqq")
    terminal.expect(ENTER)
    terminal.expect("3 of 3 GPUs free")  # what was typed was no key
    terminal.key("q")
    # Not across the screen, but when it is left.
    assert "a note\r\n" not in terminal.expect(LEAVE)
    terminal.expect("genvx: a note\r\n")
    assert terminal.end() == 0


def test_ctrl_c_at_the_question_for_a_password_ends_it_and_the_terminal_shows_what_is_typed():
    terminal = Terminal(played("prompt"), genvx_env(), size=(24, 80))
    terminal.expect("password? ")
    terminal.key("\x03")
    terminal.match("\x1b\\[\\?1049l\\s*$")
    assert echoes(terminal)
    assert terminal.end() == 130


def test_where_there_is_no_terminal_another_verb_is_named(state):
    answer = run_genvx("top")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "genvx: top needs a terminal; genvx devices -w is for pipes\n"
