"""genvx activate in the shell that one is in, in a real terminal, for every shell."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.shell.init import SHELLS as SUPPORTED
from tests.capabilities import USER_A
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, job, start_up, until

SHELLS = [
    pytest.param(name, marks=pytest.mark.needs(name))
    for name in ("bash", "zsh", "fish", "tcsh", "dash")
]
SELF_HOLDING = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("bash", "zsh")]
GUARDED = pytest.param("fish", marks=pytest.mark.needs("fish"))
PROMPTING = [
    pytest.param(name, marks=pytest.mark.needs(name)) for name in ("bash", "zsh", "fish", "tcsh")
]

# Odd values before: exported and empty, not exported, and with blanks.
BEFORE = {
    "bash": "PS1='mine> '\nGENVX_DEVICES='a  b'\nexport CUDA_VISIBLE_DEVICES=\n"
    'eval "$(genvx shell-init bash)"\n',
    "zsh": "PROMPT='mine> '\nGENVX_DEVICES='a  b'\nexport CUDA_VISIBLE_DEVICES=\n"
    'eval "$(genvx shell-init zsh)"\n',
    "fish": "set -g fish_greeting\nfunction fish_prompt; echo -n 'mine> '; end\n"
    "set -g GENVX_DEVICES 'a  b'\nset -gx CUDA_VISIBLE_DEVICES ''\n"
    "genvx shell-init fish | source\n",
    "tcsh": "set prompt = 'mine> '\nset GENVX_DEVICES = 'a  b'\nsetenv CUDA_VISIBLE_DEVICES ''\n"
    'eval "`genvx shell-init tcsh`"\n',
    "dash": "PS1='mine> '\nGENVX_DEVICES='a  b'\nexport CUDA_VISIBLE_DEVICES=\n"
    'eval "$(genvx shell-init sh)"\n',
}
FILES = {
    "bash": ".bashrc",
    "zsh": ".zshrc",
    "fish": ".config/fish/config.fish",
    "tcsh": ".tcshrc",
    "dash": ".shrc",
}
# Everything that the shell has: variables with their attributes, and functions' names.
ALL = {
    "bash": "declare -p; declare -F",
    "zsh": "typeset -p 2>/dev/null; print -l ${(ok)functions}",
    "fish": "set -g; set -gx; functions -n",
    "tcsh": "set; printenv | sort; alias",
    "dash": 'env -u _; set | grep "^GENVX"; set | grep "^__genvx_[a-z]*="; echo $PS1',
}
# What changes by itself.
FLEETING = re.compile(
    r"_|\?|BASH_(ARGC|ARGV|LINENO|SUBSHELL)|COLUMNS|LINES|LINENO|OPTIND|RANDOM|SECONDS|EPOCH\w+"
    r"|SRANDOM|PIPESTATUS|HISTCMD|TTYIDLE|CMD_DURATION|history|pipestatus|status(_generation)?"
    r"|functions|zle-line-init"
)


@pytest.fixture
def shell(state, short_tmp, monkeypatch):
    """Opens a shell in a terminal whose start-up file has genvx's line."""
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    program = short_tmp / "bin" / "genvx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(genvx_argv())} "$@"\n')
    program.chmod(0o755)

    def start(name, *before):
        home = short_tmp / "home"
        path = start_up(home, FILES[name], BEFORE[name])
        env = genvx_env(HOME=str(home), PATH=f"{program.parent}:{os.environ['PATH']}")
        for left_over in ("ZDOTDIR", "ENV", "PROMPT_COMMAND", "PS1", "GENVX_DEVICES"):
            env.pop(left_over, None)
        if name == "dash":
            env["ENV"] = str(path)
        terminal = Terminal([*before, shutil.which(name), "-i"], env)
        terminal.expect("mine> ")
        return terminal

    start.path = program.parent
    return start


def everything(terminal, name, path):
    terminal.line(f"eval '{ALL[name]}' > {path}.new; mv {path}.new {path}")
    until(path.exists)
    kept = []
    for line in path.read_text().splitlines():
        word = re.match(r"(?:(?:declare|typeset|export) )?(?:-\S+ )*([^\s=]*)", line)
        if line and not FLEETING.fullmatch(word[1]):
            kept.append(line)
    return kept


def variable(terminal, path, name):
    terminal.line(f"printenv {name} > {path}.new; mv {path}.new {path}")
    until(path.exists)
    value = path.read_text().rstrip("\n")
    path.unlink()
    return value


def environments():
    return LocalHost().snapshot().environments


def test_every_shell_that_is_supported_is_tested():
    assert set(FILES) == {*SUPPORTED, "dash"} - {"sh"}


@pytest.mark.parametrize("name", SHELLS)
def test_activate_changes_this_shell_and_deactivate_restores_all_of_it(shell, name, tmp_path):
    terminal = shell(name)
    before = everything(terminal, name, tmp_path / "before")
    terminal.line("genvx activate --gpus 2 --name train")
    terminal.expect("(genvx train) mine> ")
    (env,) = environments()
    seen = variable(terminal, tmp_path / "v", "CUDA_VISIBLE_DEVICES").split(",")
    assert sorted(seen) == sorted(env.devices)
    assert variable(terminal, tmp_path / "v", "GENVX_ENVIRONMENT_NAME") == "train"
    assert env.pids == (terminal.child.pid,)
    terminal.line("genvx deactivate; echo gone")
    terminal.expect("gone\r\n")
    assert everything(terminal, name, tmp_path / "after") == before
    until(lambda: not environments())
    terminal.line("exit 5")
    assert terminal.end() == 5


LOCK_ALL = """
import contextlib, fcntl, os, struct
directory, kept = DIRECTORY, []
read_lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 0, 0, 0)
print("looking", flush=True)
while True:
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            with contextlib.suppress(OSError):
                kept.append(os.open(f"{directory}/{name}", os.O_RDONLY))
                fcntl.fcntl(kept[-1], fcntl.F_OFD_SETLK, read_lock)
                fcntl.flock(kept[-1], fcntl.LOCK_SH | fcntl.LOCK_NB)
    while len(kept) > 100:
        os.close(kept.pop(0))
"""


@pytest.mark.needs("uids")
@pytest.mark.parametrize("name", SELF_HOLDING)
def test_somebody_who_locks_whatever_can_be_read_keeps_no_shell_from_its_gpus(
    shell, name, state, short_tmp, world
):
    short_tmp.chmod(0o755)
    state.mkdir()
    directory = state / "leases" / str(os.getuid())
    neighbour = world.start(USER_A, LOCK_ALL.replace("DIRECTORY", repr(str(directory))))
    try:
        assert neighbour.stdout.readline() == "looking\n"
        terminal = shell(name)
        for _ in range(3):
            terminal.line("genvx activate --gpus 1 --name train")
            terminal.expect("(genvx train) mine> ")
            terminal.line("genvx deactivate; echo gone")
            terminal.expect("gone\r\n")
    finally:
        neighbour.kill()
        neighbour.communicate()


@pytest.mark.parametrize("name", SHELLS)
def test_a_killed_shell_frees_its_devices(shell, name):
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    assert len(environments()) == 1
    os.kill(terminal.child.pid, signal.SIGKILL)
    until(lambda: not environments())


@pytest.mark.parametrize("name", SELF_HOLDING)
def test_a_job_in_the_background_keeps_the_devices_of_its_shell(shell, name, tmp_path):
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    line, pid = job(tmp_path)
    terminal.line(line)
    started = pid()
    terminal.line("genvx deactivate; exit")
    terminal.end()
    assert len(environments()) == 1
    os.kill(started, signal.SIGKILL)
    until(lambda: not environments())


@pytest.mark.parametrize("name", PROMPTING)
def test_what_is_attached_elsewhere_is_seen_at_the_next_prompt(shell, name, tmp_path):
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    (env,) = environments()
    LocalHost().attach(env.id, Requirements(1))
    terminal.line("")
    terminal.expect("(genvx) mine> ")
    assert len(variable(terminal, tmp_path / "v", "CUDA_VISIBLE_DEVICES").split(",")) == 2


@pytest.mark.parametrize("name", SHELLS)
def test_attach_and_detach_change_this_shell_at_once(shell, name, tmp_path):
    terminal = shell(name)
    terminal.line("genvx activate --visible-as index")
    terminal.expect("(genvx) mine> ")
    both = "printenv GENVX_DEVICES; printenv CUDA_VISIBLE_DEVICES"
    terminal.line(f"genvx attach --device 3; {both}")
    terminal.match(r"has GPU 3\r\n(\x1b\S*)?3\r\n3\r\n")
    terminal.line("genvx detach")
    terminal.match(r"has no GPU\r\n")
    terminal.expect("(genvx) mine> ")
    assert variable(terminal, tmp_path / "v", "CUDA_VISIBLE_DEVICES") == ""


@pytest.mark.parametrize("name", PROMPTING)
def test_a_shell_whose_environment_is_released_is_as_it_was(shell, name, tmp_path):
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    (env,) = environments()
    LocalHost().release(env.id)
    terminal.line("")
    terminal.expect("genvx: the environment of this shell has ended")
    terminal.line("printenv CUDA_VISIBLE_DEVICES | wc -c")
    terminal.match(r"\D1\r\n")


@pytest.mark.parametrize("name", PROMPTING)
def test_a_shell_keeps_its_environment_when_it_cannot_be_looked_at(shell, name, state, tmp_path):
    """Such as while root writes a policy that has a mistake."""
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    (state / "policy.toml").write_text("[limits\n")
    (state / "leases" / str(os.getuid()) / "touched").touch()
    terminal.line("")
    terminal.expect("policy.toml")
    (state / "policy.toml").unlink()
    assert variable(terminal, tmp_path / "v", "GENVX_DEVICES") == "0"
    assert len(environments()) == 1


@pytest.mark.parametrize("name", [*SELF_HOLDING, SHELLS[-1]])
def test_an_alias_of_the_users_for_genvx_gives_way(shell, monkeypatch, name):
    monkeypatch.setitem(BEFORE, name, f"alias genvx='env genvx'\n{BEFORE[name]}")
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    terminal.line("genvx deactivate")
    until(lambda: not environments())


@pytest.mark.parametrize("name", SHELLS)
def test_two_terminals_are_in_one_environment_until_the_second_leaves(shell, name):
    first, second = shell(name), shell(name)
    first.line("genvx activate --gpus 1")
    first.expect("(genvx) mine> ")
    (env,) = environments()
    second.line(f"genvx activate --id {env.id}")
    second.expect("(genvx) mine> ")
    assert len(environments()[0].pids) == 2
    first.line("exit")
    first.end()
    until(lambda: len(environments()[0].pids) == 1)
    second.line("genvx deactivate")
    until(lambda: not environments())


HOSTILE = "$(touch x) `touch x` \"q\" 'q' \\ %n !! ; touch x #"


@pytest.mark.parametrize("name", SHELLS)
def test_a_name_is_never_evaluated(shell, name, tmp_path):
    """The name comes with an environment that is joined: no shell has to quote it first."""
    hold = LocalHost().acquire(Ask(Requirements(1), name=HOSTILE))
    terminal = shell(name)
    terminal.line(f"cd {tmp_path}")
    terminal.line(f"genvx activate --id {hold.grant.environment_id}")
    terminal.expect("(genvx __touch x_ _touch x_ _q_) mine> ")
    assert variable(terminal, tmp_path / "v", "GENVX_ENVIRONMENT_NAME") == HOSTILE
    terminal.line("genvx attach --gpus 1")
    terminal.expect("has GPUs 0, 1")
    terminal.line("genvx deactivate; echo gone")
    terminal.expect("gone\r\n")
    assert not (tmp_path / "x").exists()
    hold.release()


@pytest.mark.parametrize("name", SHELLS)
def test_exit_codes_are_the_commands_own(shell, name):
    terminal = shell(name)
    show = "echo code=$status" if name in ("fish", "tcsh") else "echo code=$?"
    for line, code in (
        ("genvx activate --gpus 99", 2),
        ("genvx activate --gpus 1 -- sh -c 'exit 7'", 7),
        ("genvx activate --gpus 1 sh -c 'exit 8'", 8),
        ("genvx run --gpus 1 -- sh -c 'exit 9'", 9),
        ("genvx release nothing", 2),
        ("genvx activate --help", 0),
        ("genvx deactivate", 2),
    ):
        terminal.line(f"{line}; {show}")
        terminal.expect(f"code={code}\r\n")
    terminal.line(f"genvx activate --gpus 1; genvx activate; {show}")
    terminal.expect("this shell is already activated")
    terminal.expect("code=2\r\n")


@pytest.mark.parametrize("name", SHELLS)
def test_ctrl_c_while_waiting_leaves_no_ticket_and_the_shell_as_it_was(shell, name):
    hold = LocalHost().acquire(Ask(Requirements(4)))
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1 --wait")
    terminal.expect("in line")
    until(lambda: LocalHost().snapshot().tickets)
    terminal.key("\x03")
    until(lambda: not LocalHost().snapshot().tickets)
    hold.release()
    terminal.line("printenv GENVX_DEVICES | wc -c")
    terminal.match(r"\D0\r\n")
    terminal.line("genvx activate --gpus 1")
    terminal.expect("(genvx) mine> ")
    assert len(environments()) == 1


@pytest.mark.parametrize("name", [SELF_HOLDING[0], GUARDED])
def test_the_time_of_an_environment_ends_it_and_not_the_shell(shell, name):
    terminal = shell(name)
    terminal.line("genvx activate --gpus 1 --time 4s")
    terminal.expect("(genvx) mine> ")
    until(lambda: not environments())
    terminal.line("echo alive")
    terminal.expect("alive\r\n")
    terminal.expect("the environment of this shell has ended")


@pytest.mark.needs("tmux")
@pytest.mark.parametrize("name", SHELLS)
def test_it_works_inside_of_tmux(shell, name, short_tmp):
    socket = str(short_tmp / "tmux")
    try:
        terminal = shell(name, "tmux", "-f", "/dev/null", "-S", socket, "new-session")
        terminal.line("genvx activate --gpus 1")
        terminal.expect("(genvx) mine> ")
        until(environments)
        subprocess.run(["tmux", "-S", socket, "kill-pane"], check=True)
        until(lambda: not environments())
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True)


def test_an_unknown_shell_is_refused():
    answer = run_genvx("shell-init", "cmd.exe")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == ("genvx: shell-init is for bash, zsh, fish, tcsh, sh, not 'cmd.exe'\n")


ODD = "$(){}[]<>`'\"\\;&|*?!#%~^=,: aé\u4e2d-+@\xa0x"
LOOP = {
    "bash": 'genvx activate --id "$id"; printenv GENVX_ENVIRONMENT_NAME; genvx deactivate',
    "zsh": 'genvx activate --id "$id"; printenv GENVX_ENVIRONMENT_NAME; genvx deactivate',
    "dash": 'genvx activate --id "$id"; printenv GENVX_ENVIRONMENT_NAME; genvx deactivate',
    "fish": "genvx activate --id $id; printenv GENVX_ENVIRONMENT_NAME; genvx deactivate",
    "tcsh": "genvx activate --id $id; printenv GENVX_ENVIRONMENT_NAME; genvx deactivate",
}


@pytest.mark.parametrize("name", SHELLS)
def test_names_of_all_kinds_arrive_as_they_are(shell, name, tmp_path):
    """Made up of what shells look at, at random; joined in a shell that runs a file."""
    chance = random.Random(f"names for {name}")
    names = ["".join(chance.choices(ODD, k=chance.randint(1, 24))) for _ in range(10)]
    names = [each.strip() or "x" for each in names] + ["-n", "$(touch x)`touch x`", "\\"]
    names = [each for each in names if each.isprintable() and each == each.strip()]
    host = LocalHost()
    holds = [host.acquire(Ask(Requirements(), name=each)) for each in names]
    ids = [hold.grant.environment_id for hold in holds]
    first = BEFORE[name].splitlines()[-1]
    assign = {"fish": "set id", "tcsh": "set id ="}.get(name)
    lines = [first]
    for each in ids:
        lines += [f"{assign} {each}" if assign else f"id={each}", *LOOP[name].split("; ")]
    script = tmp_path / "script"
    script.write_text("\n".join(lines) + "\n")
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"], "tcsh": ["-f"], "dash": []}
    answer = subprocess.run(
        [shutil.which(name), *flags[name], str(script)],
        env=genvx_env(PATH=f"{shell.path}:{os.environ['PATH']}", HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == names
    assert not (tmp_path / "x").exists()
    for hold in holds:
        hold.release()


@pytest.mark.needs("bash")
def test_a_readonly_prompt_command_keeps_the_mark_and_is_left_as_it_is(shell, monkeypatch):
    monkeypatch.setitem(
        BEFORE, "bash", BEFORE["bash"] + "PROMPT_COMMAND='history -a'; readonly PROMPT_COMMAND\n"
    )
    terminal = shell("bash")
    terminal.line("genvx activate --gpus 1 --name train")
    assert "readonly" not in terminal.expect("(genvx train) mine> ")
    terminal.line("genvx deactivate; echo gone")
    terminal.expect("gone\r\n")
    assert "readonly" not in terminal.expect("mine> ")
    terminal.line("echo :$PROMPT_COMMAND:")
    terminal.expect(":history -a:")
