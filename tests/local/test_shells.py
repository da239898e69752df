"""The activated shell, in a real terminal, for every shell: prompt, start-up files,
devices, and the lease.
"""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from tests.helpers import Terminal, genvx_argv, genvx_env, job, start_up, until

SHELLS = [
    pytest.param(name, marks=pytest.mark.needs(name))
    for name in ("bash", "zsh", "fish", "tcsh", "dash")
]

# What each shell's own start-up file says: a prompt, a variable, and, as some people have it,
# CUDA_VISIBLE_DEVICES; also one of genvx's own, as of an environment that somebody has copied.
START_UP = {
    "bash": (
        ".bashrc",
        "PS1='mine> '\nexport FROM_RC=yes CUDA_VISIBLE_DEVICES=7 GENVX_DEVICES=7\n",
    ),
    "zsh": (
        ".zshrc",
        "PROMPT='mine> '\nexport FROM_RC=yes CUDA_VISIBLE_DEVICES=7 GENVX_DEVICES=7\n",
    ),
    "fish": (
        ".config/fish/config.fish",
        "set -g fish_greeting\nfunction fish_prompt; echo -n 'mine> '; end\n"
        "set -gx FROM_RC yes\nset -gx CUDA_VISIBLE_DEVICES 7\nset -gx GENVX_DEVICES 7\n",
    ),
    "tcsh": (
        ".tcshrc",
        "set prompt = 'mine> '\nsetenv FROM_RC yes\nsetenv CUDA_VISIBLE_DEVICES 7\n"
        "setenv GENVX_DEVICES 7\n",
    ),
    "dash": (".shrc", "PS1='mine> '\nexport FROM_RC=yes CUDA_VISIBLE_DEVICES=7 GENVX_DEVICES=7\n"),
}


@pytest.fixture
def activated(state, short_tmp):
    """Opens an activated shell in a terminal; its home has that shell's start-up file."""

    def activate(shell, *arguments, **more):
        home = short_tmp / "home"
        name, content = START_UP[shell]
        path = start_up(home, name, content)
        env = genvx_env(HOME=str(home), SHELL=shutil.which(shell), **more)
        for left_over in ("ZDOTDIR", "ENV", "PROMPT_COMMAND", "PS1"):
            env.pop(left_over, None)
        if shell == "dash":
            env["ENV"] = str(path)
        return Terminal(genvx_argv("activate", *arguments), env)

    return activate


READONLY = {
    "a string": "PROMPT_COMMAND='history -a'; readonly PROMPT_COMMAND",
    "an array": "PROMPT_COMMAND=('history -a'); readonly PROMPT_COMMAND",
    "an array and set": "PROMPT_COMMAND=('history -a')",
}


@pytest.mark.needs("bash")
@pytest.mark.parametrize("how", READONLY)
def test_a_readonly_prompt_command_keeps_the_mark(activated, monkeypatch, how):
    name, content = START_UP["bash"]
    monkeypatch.setitem(START_UP, "bash", (name, f"{content}{READONLY[how]}\n"))
    terminal = activated("bash", "-g", "1", "--name", "train")
    assert "readonly" not in terminal.expect("(genvx train) mine> ")
    terminal.line("echo $GENVX_DEVICES-$FROM_RC")
    terminal.match(r"\d-yes\r\n")
    terminal.expect("(genvx train) mine> ")


@pytest.mark.needs("bash")
def test_a_readonly_prompt_is_left_alone_without_a_word(activated, monkeypatch):
    name, content = START_UP["bash"]
    monkeypatch.setitem(START_UP, "bash", (name, f"{content}readonly PS1\n"))
    terminal = activated("bash", "-g", "1")
    assert "readonly" not in terminal.expect("mine> ")
    terminal.line("echo :$GENVX_DEVICES:")
    terminal.match(r":\d:")
    assert "readonly" not in terminal.expect("mine> ")


@pytest.mark.parametrize(
    "shell", [pytest.param(each, marks=pytest.mark.needs(each)) for each in ("bash", "zsh", "dash")]
)
def test_a_shell_that_cannot_be_given_its_devices_is_not_opened(activated, monkeypatch, shell):
    name, content = START_UP[shell]
    monkeypatch.setitem(START_UP, shell, (name, f"{content}readonly CUDA_VISIBLE_DEVICES\n"))
    terminal = activated(shell, "-g", "1")
    terminal.expect("genvx: your start-up files make CUDA_VISIBLE_DEVICES readonly")
    assert terminal.end() == 1


@pytest.fixture
def genvx_on_path(short_tmp):
    """A PATH on which genvx is."""
    program = short_tmp / "bin" / "genvx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(genvx_argv())} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def environment_of(terminal, path):
    """The environment of the shell, by way of a file: terminals colour and wrap what they show."""
    terminal.line(f"env > {path}.new; mv {path}.new {path}")
    until(path.exists)
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_users_own_shell_starts_with_its_own_files_and_a_marked_prompt(
    activated, shell, tmp_path
):
    terminal = activated(shell, "--gpus", "1", "--name", "mine")
    terminal.expect("(genvx mine) mine> ")
    seen = environment_of(terminal, tmp_path / "env")
    uuid = LocalHost().snapshot().devices[0].uuid
    assert seen["FROM_RC"] == "yes"
    assert (seen["CUDA_VISIBLE_DEVICES"], seen["CUDA_DEVICE_ORDER"]) == (uuid, "PCI_BUS_ID")
    assert (seen["GENVX_ENVIRONMENT_NAME"], seen["GENVX_DEVICES"]) == ("mine", "0")
    terminal.line("exit")
    terminal.end()


@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_of_ours_is_left_in_the_shells_environment(activated, shell, tmp_path):
    terminal = activated(shell, "--gpus", "1")
    terminal.expect("(genvx) mine> ")
    seen = environment_of(terminal, tmp_path / "env")
    assert [n for n in seen if n.startswith(("GENVX_SHELL", "GENVX_USER", "ZDOTDIR"))] == []
    assert seen["HOME"].endswith("/home")
    terminal.line("exit")
    terminal.end()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lease_ends_with_the_shell_and_the_exit_code_is_its_own(activated, shell):
    terminal = activated(shell, "--gpus", "2")
    terminal.expect("(genvx) mine> ")
    assert len(LocalHost().snapshot().environments) == 1
    terminal.line("exit 5")
    assert terminal.end() == 5
    until(lambda: not LocalHost().snapshot().environments)


@pytest.mark.parametrize("shell", SHELLS)
def test_genvx_deactivate_ends_the_shell(activated, shell, genvx_on_path):
    terminal = activated(shell, "--gpus", "1", PATH=genvx_on_path)
    terminal.expect("(genvx) mine> ")
    terminal.line("genvx version")
    terminal.expect("genvx 0.")
    terminal.expect("(genvx) mine> ")
    terminal.line("genvx deactivate")
    terminal.end()
    until(lambda: not LocalHost().snapshot().environments)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_shell_frees_its_devices(activated, shell):
    terminal = activated(shell, "--gpus", "1")
    terminal.expect("(genvx) mine> ")
    terminal.line("echo pid=$$" if shell != "fish" else "echo pid=$fish_pid")
    pid = int(terminal.match(r"pid=(\d+)\r")[1])
    os.kill(pid, signal.SIGKILL)
    until(lambda: not LocalHost().snapshot().environments)
    terminal.end()


@pytest.mark.parametrize(
    "shell",
    [s for s in SHELLS if s.values[0] != "tcsh"],  # tcsh closes what it inherits; see docs
)
def test_a_job_left_behind_keeps_the_devices_until_it_ends(activated, shell, tmp_path):
    line, told = job(tmp_path)
    terminal = activated(shell, "--gpus", "1", "--name", "job")
    terminal.expect("(genvx job) mine> ")
    terminal.line(f"sh -c '{line}'")
    pid = told()
    terminal.line("exit")
    terminal.end()
    assert [e.name for e in LocalHost().snapshot().environments] == ["job"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not LocalHost().snapshot().environments)


@pytest.mark.needs("tcsh")
def test_a_killed_guardian_hangs_up_on_the_shell_that_it_holds_for(activated):
    terminal = activated("tcsh", "--gpus", "1")
    terminal.expect("(genvx) mine> ")
    (environment,) = LocalHost().snapshot().environments
    os.kill(environment.pids[0], signal.SIGKILL)
    until(lambda: not LocalHost().snapshot().environments)
    terminal.end()


@pytest.mark.needs("bash")
def test_no_prompt_leaves_the_prompt_alone(activated):
    terminal = activated("bash", "--no-prompt")
    assert "genvx" not in terminal.expect("mine> ")
    terminal.line("exit")
    terminal.end()


@pytest.mark.needs("bash")
def test_a_prompt_command_that_sets_the_prompt_anew_keeps_the_mark(activated, short_tmp):
    start_up = "PROMPT_COMMAND='PS1=\"again> \";'\n"
    home = short_tmp / "home"
    home.mkdir()
    terminal_rc = START_UP["bash"]
    START_UP["bash"] = (".bashrc", start_up)
    try:
        terminal = activated("bash")
    finally:
        START_UP["bash"] = terminal_rc
    terminal.expect("(genvx) again> ")
    terminal.line("true")
    terminal.expect("(genvx) again> ")
    terminal.line("exit")
    terminal.end()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$(touch pwned)", "__touch pwned_"),
        ("`touch pwned`", "_touch pwned_"),
        ("a'b\"c", "a_b_c"),
        ("\\u@\\h", "_u@_h"),
        ("%n %m !", "_n _m _"),
    ],
)
def test_a_name_is_never_evaluated(activated, shell, name, shown, tmp_path):
    terminal = activated(shell, "--name", name)
    terminal.expect(f"(genvx {shown}) mine> ")
    terminal.line('printf "<%s>\\n" "$GENVX_ENVIRONMENT_NAME"')
    terminal.expect(f"<{name}>\r\n")
    terminal.line("exit")
    terminal.end()
    assert not (tmp_path / "pwned").exists()


@pytest.mark.needs("bash")
def test_activate_with_a_command_runs_it_and_exits_with_its_code(activated):
    terminal = activated("bash", "--gpus", "1", "--", "sh", "-c", "echo on $GENVX_DEVICES; exit 9")
    terminal.expect("on 0")
    assert terminal.end() == 9


def test_an_unknown_shell_is_started_as_it_is(state, short_tmp):
    program = short_tmp / "oddsh"
    program.write_text("#!/bin/sh\necho odd $GENVX_DEVICES; exit 3\n")
    program.chmod(0o755)
    terminal = Terminal(genvx_argv("activate", "-g", "1"), genvx_env(SHELL=str(program)))
    terminal.expect("odd 0")
    assert terminal.end() == 3


TWO = "2xA100-80GB"


def attach_one_elsewhere():
    (env,) = LocalHost().snapshot().environments
    LocalHost(environ={**os.environ, "GENVX_SIMULATE": TWO}).attach(env.id, Requirements(1))


PROMPTING = [each for each in SHELLS if each.values[0] != "dash"]


@pytest.mark.parametrize("shell", PROMPTING)
def test_what_is_attached_elsewhere_is_seen_at_the_next_prompt(
    activated, shell, genvx_on_path, tmp_path
):
    terminal = activated(shell, "--gpus", "1", PATH=genvx_on_path, GENVX_SIMULATE=TWO)
    terminal.expect("(genvx) mine> ")
    attach_one_elsewhere()
    terminal.line("")
    terminal.expect("(genvx) mine> ")
    seen = environment_of(terminal, tmp_path / "env")
    assert seen["GENVX_DEVICES"] == "0,1"
    assert len(seen["CUDA_VISIBLE_DEVICES"].split(",")) == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_shell_itself_attaches_is_seen_in_the_same_line(activated, shell, genvx_on_path):
    terminal = activated(shell, "--gpus", "1", PATH=genvx_on_path, GENVX_SIMULATE=TWO)
    terminal.expect("(genvx) mine> ")
    terminal.line("genvx attach --gpus 1; printenv GENVX_DEVICES")
    terminal.match(r"has GPUs 0, 1\r\n(\x1b\S*)?0,1\r\n")


@pytest.mark.parametrize("shell", PROMPTING)
def test_a_shell_that_could_not_ask_once_asks_again(
    activated, shell, genvx_on_path, state, tmp_path
):
    """Such as while root writes a policy that has a mistake."""
    terminal = activated(shell, "--gpus", "1", PATH=genvx_on_path, GENVX_SIMULATE=TWO)
    terminal.expect("(genvx) mine> ")
    attach_one_elsewhere()
    (state / "policy.toml").write_text("[limits\n")
    terminal.line("")
    terminal.expect("policy.toml")
    (state / "policy.toml").unlink()
    terminal.line("")
    terminal.expect("(genvx) mine> ")
    assert environment_of(terminal, tmp_path / "env")["GENVX_DEVICES"] == "0,1"


@pytest.mark.parametrize("shell", PROMPTING)
def test_a_shell_whose_environment_has_ended_says_so_once_and_stays(
    activated, shell, genvx_on_path, tmp_path
):
    terminal = activated(shell, "--gpus", "1", PATH=genvx_on_path)
    terminal.expect("(genvx) mine> ")
    (env,) = LocalHost().snapshot().environments
    LocalHost().release(env.id)
    terminal.line("")
    terminal.expect("genvx: the environment of this shell has ended")
    terminal.expect("(genvx) mine> ")
    terminal.line("echo al''ive")
    assert "has ended" not in terminal.expect("alive")
    terminal.line("exit 5")
    assert terminal.end() == 5
