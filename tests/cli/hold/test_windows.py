"""Windows of a tmux server that was there before the environment, and activation within tmux."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from genvx.local.host import LocalHost
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, start_up, until

pytestmark = pytest.mark.needs("tmux")

# What people have in their start-up files: a prompt, and GPUs that are not theirs.
START_UP = {
    "bash": (".bashrc", "PS1='mine> '\nPATH={bin}:$PATH\n{init}\nexport CUDA_VISIBLE_DEVICES=7\n"),
    "zsh": (".zshrc", "PROMPT='mine> '\n{init}\nexport CUDA_VISIBLE_DEVICES=7\n"),
    "fish": (
        ".config/fish/config.fish",
        "set -g fish_greeting\nfunction fish_prompt; echo -n 'mine> '; end\n{init}\n"
        "set -gx CUDA_VISIBLE_DEVICES 7\n",
    ),
    "dash": (".shrc", "PS1='mine> '\nPATH={bin}:$PATH\nexport CUDA_VISIBLE_DEVICES=7\n{init}\n"),
}
INIT = {
    "bash": 'eval "$(genvx shell-init bash)"',
    "zsh": 'eval "$(genvx shell-init zsh)"',
    "fish": "genvx shell-init fish | source",
    "dash": 'eval "$(genvx shell-init sh)"',
}
SHELLS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in INIT]


class Person:
    """Has a home, one shell everywhere, and a tmux of their own."""

    def __init__(self, directory, shell, *, init=True):
        self.shell = shell
        program = directory / "bin" / "genvx"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {" ".join(genvx_argv())} "$@"\n')
        program.chmod(0o755)
        name, content = START_UP[shell]
        content = content.format(init=INIT[shell] if init else "", bin=program.parent)
        path = start_up(directory / "home", name, content)
        # tmux starts login shells, and /etc/profile has its own idea of PATH.
        start_up(directory / "home", ".bash_profile", ". ~/.bashrc\n")
        sockets = directory / "t"
        sockets.mkdir()
        (directory / "home" / ".tmux.conf").write_text("set -g status off\n")
        self.env = genvx_env(
            HOME=str(directory / "home"),
            PATH=f"{program.parent}:{os.environ['PATH']}",
            SHELL=shutil.which(shell),
            TMUX_TMPDIR=str(sockets),
        )
        for left_over in ("ZDOTDIR", "ENV", "PROMPT_COMMAND", "PS1", "TMUX", "TMUX_PANE", "STY"):
            self.env.pop(left_over, None)
        if shell == "dash":
            self.env["ENV"] = str(path)

    def tmux(self, *arguments):
        answer = subprocess.run(
            ["tmux", *arguments], env=self.env, capture_output=True, text=True, timeout=20
        )
        return answer.stdout.strip()

    def open(self):
        """A terminal with a shell in it, outside of tmux."""
        terminal = Terminal([self.env["SHELL"], "-i"], self.env)
        terminal.expect("mine> ")
        return terminal

    def shown(self, pane):
        """What a pane shows."""
        return self.tmux("capture-pane", "-p", "-J", "-t", pane)

    def says(self, pane, variable):
        """A variable of the shell in a pane, as its children have it."""
        path = f"{self.env['HOME']}/said"
        self.tmux(
            "send-keys",
            "-t",
            pane,
            f" printenv {variable} >{path}.new; mv {path}.new {path}",
            "Enter",
        )
        until(lambda: os.path.exists(path), f"{pane} says {variable}")
        with open(path) as file:
            text = file.read().strip()
        os.unlink(path)
        return text


@pytest.fixture
def person(state, short_tmp, monkeypatch):
    people = []

    def make(shell, **options):
        people.append(Person(short_tmp, shell, **options))
        return people[-1]

    yield make
    for each in people:
        each.tmux("kill-server")


def environment():
    (env,) = LocalHost().snapshot(holders=True).environments
    return env


@pytest.mark.parametrize("shell", SHELLS)
def test_a_window_that_is_opened_within_an_environment_joins_it(person, shell):
    me = person(shell)
    me.tmux("new-session", "-d", "-s", "before")
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("(genvx train) mine> ")
    terminal.line("tmux new-session -s after")
    until(lambda: "has joined train" in me.shown("after:"), "the window joins")
    until(lambda: me.shown("after:").splitlines()[-1].startswith("(genvx train) mine>"))
    env = environment()
    assert len(env.pids) == 2
    assert me.says("after:", "CUDA_VISIBLE_DEVICES") == ",".join(env.devices)
    # The window keeps the environment when the shell that it came from is gone.
    terminal.child.close(force=True)
    until(lambda: len(environment().pids) == 1, "the first shell has left")
    me.tmux("send-keys", "-t", "after:", " genvx deactivate", "Enter")
    until(lambda: not LocalHost().snapshot().environments, "the window has left")
    assert me.says("after:", "GENVX_ENVIRONMENT_ID") == ""


@pytest.mark.needs("bash")
def test_windows_that_were_there_are_told_of_once(person):
    me = person("bash")
    me.tmux("new-session", "-d", "-s", "before")
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("genvx: tmux windows see all GPUs; to join: genvx activate --id ")
    terminal.expect("(genvx train) mine> ")
    terminal.line("genvx deactivate; echo out")
    terminal.expect("out\r\n")
    terminal.line("genvx activate -g 1 --name again")
    assert "tmux" not in terminal.expect("(genvx again) mine> ").partition("\n")[2]


@pytest.mark.needs("bash")
def test_a_window_beside_an_activated_one_offers_to_join(person):
    me = person("bash")
    me.tmux("new-session", "-d", "-s", "main")
    until(lambda: "mine>" in me.shown("main:0"), "the shell is ready")
    me.tmux("send-keys", "-t", "main:0", "genvx activate -g 1 --name train", "Enter")
    until(lambda: "(genvx train) mine>" in me.shown("main:0"), "it is activated")
    assert "genvx: other tmux windows see all GPUs" in me.shown("main:0")
    me.tmux("new-window", "-t", "main:1")
    offer = f"genvx activate --id {environment().id} joins it"
    until(lambda: offer in me.shown("main:1"), "it offers to join")
    assert me.says("main:1", "GENVX_ENVIRONMENT_ID") == ""
    me.tmux("send-keys", "-t", "main:1", f"genvx activate --id {environment().id}", "Enter")
    until(lambda: "(genvx train) mine>" in me.shown("main:1"), "it has joined")
    assert len(environment().pids) == 2


@pytest.mark.needs("bash")
def test_a_window_of_a_session_to_which_nobody_is_attached_joins_no_other_sessions(person):
    me = person("bash")
    me.tmux("new-session", "-d", "-s", "before")
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("(genvx train) mine> ")
    terminal.line("tmux new-session -s after")
    until(lambda: "has joined train" in me.shown("after:"), "the window joins")
    me.tmux("new-window", "-t", "before:")
    until(lambda: "mine>" in me.shown("before:"), "the window has a prompt")
    assert me.says("before:", "GENVX_ENVIRONMENT_ID") == ""
    assert "joined" not in me.shown("before:")
    assert len(environment().pids) == 2


@pytest.mark.needs("bash")
def test_a_window_of_a_server_whose_environment_has_ended_loses_its_variables(person):
    me = person("bash")
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name gone")
    terminal.expect("(genvx gone) mine> ")
    terminal.line("tmux new-session -d -s main 'sleep 600'; echo made")
    terminal.expect("made\r\n")
    terminal.line("exit")
    terminal.end()
    assert environment().holders[0].command.startswith("tmux new-session")
    assert run_genvx("release", "gone").returncode == 0
    me.tmux("new-window", "-t", "main:1")
    until(lambda: "no active environment" in me.shown("main:1"), "it is told")
    assert me.says("main:1", "GENVX_DEVICES") == ""


@pytest.mark.needs("bash")
def test_an_opened_shell_tells_of_windows_too(person):
    me = person("bash", init=False)
    me.tmux("new-session", "-d", "-s", "before")
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("genvx: tmux windows see all GPUs")
    terminal.expect("(genvx train) mine> ")


@pytest.mark.needs("bash")
def test_within_screen_its_other_windows_are_told_of(person):
    me = person("bash", init=False)
    me.env["STY"] = f"{os.getpid()}.pts-0.here"
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("genvx: other screen windows see all GPUs")
    terminal.expect("(genvx train) mine> ")


@pytest.mark.needs("bash")
def test_windows_join_where_a_start_up_file_has_swallowed_the_activation(person):
    me = person("bash")
    path = f"{me.env['HOME']}/.bashrc"
    me.tmux("new-session", "-d", "-s", "main")
    terminal = me.open()
    with open(path, "a") as file:
        file.write('[ -n "$TMUX" ] || exec tmux new-session -A -s main\n')
    terminal.line("command genvx activate -g 1 --name train")
    until(lambda: me.tmux("list-clients"), "tmux has it")
    me.tmux("new-window", "-t", "main:1")
    until(lambda: "has joined train" in me.shown("main:1"), "the window joins")
    assert me.says("main:1", "CUDA_VISIBLE_DEVICES") == environment().devices[0]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_start_up_file_of_a_second_shell_does_not_win_over_the_lease(person, shell, tmp_path):
    me = person(shell)
    terminal = me.open()
    terminal.line("genvx activate -g 1 --name train")
    terminal.expect("(genvx train) mine> ")
    terminal.line(f"{shell} -i")
    terminal.expect("mine> ")
    terminal.line("printenv CUDA_VISIBLE_DEVICES")
    terminal.expect(f"{environment().devices[0]}\r\n")
