"""The Tab key: environments, devices and hosts, without the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env


@pytest.fixture
def environment(state, monkeypatch):
    """A living environment on this machine; its id."""
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    with LocalHost().acquire(Ask(Requirements(1), name="train")) as hold:
        yield hold.grant.environment_id


def offered(line, **more):
    """What bash is offered at the end of a line."""
    words = line.split(" ")
    environ = {
        "_GENVX_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    answer = run_genvx(env={**environ, **more})
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout.split()


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    path = tmp_path / "hosts"
    path.write_text("gpu-1\ngpu-2\nother\n")
    monkeypatch.setenv("GENVX_HOSTFILE", str(path))
    return path


@pytest.mark.parametrize(
    "line", ["genvx release ", "genvx activate --id ", "genvx attach --id ", "genvx lock --id "]
)
def test_environments_of_ours_are_offered(environment, line):
    assert offered(line) == [environment]
    assert offered(line + environment[:3]) == [environment]
    assert offered(line + "zz") == []


def test_devices_are_offered_one_after_the_other(environment):
    assert offered("genvx activate --device ") == ["0", "1", "2", "3"]
    assert offered("genvx attach --device 1,") == ["1,0", "1,2", "1,3"]


def test_hosts_are_offered_from_the_hostfile_that_counts(environment, hosts, tmp_path):
    assert offered("genvx remote -H ") == ["gpu-1", "gpu-2", "other"]
    assert offered("genvx remote activate --only-host g") == ["gpu-1", "gpu-2"]
    assert offered("genvx remote -H gpu-1,o") == ["gpu-1,other"]
    (tmp_path / "more").write_text("far\n")
    line = f"genvx remote --hostfile {tmp_path}/more run --exclude-host "
    assert offered(line) == ["far"]


def test_what_is_on_other_hosts_is_not_asked_for(environment, hosts):
    assert offered("genvx remote release ") == []
    assert offered("genvx remote activate --device ") == []


def test_where_nothing_can_be_told_nothing_is_offered(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert offered("genvx remote -H ", GENVX_HOSTFILE=str(tmp_path / "none")) == []
    assert offered("genvx release ", GENVX_STATE_DIR=str(tmp_path / "none")) == []


@pytest.mark.needs("strace")
def test_the_network_is_never_touched(environment, hosts, tmp_path):
    """Not even a socket that could reach another machine is made."""
    for line in ("genvx release ", "genvx activate --device ", "genvx remote -H "):
        log = tmp_path / "log"
        subprocess.run(
            ["strace", "-f", "-o", str(log), "-e", "trace=socket,connect", *genvx_argv()],
            env=genvx_env(
                _GENVX_COMPLETE="complete_bash",
                COMP_WORDS=line,
                COMP_CWORD=str(line.count(" ")),
            ),
            stdout=subprocess.DEVNULL,
            check=True,
        )
        assert re.findall(r"AF_INET6?", log.read_text()) == []


@pytest.mark.parametrize(
    "shell",
    [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("bash", "zsh", "fish")],
)
def test_the_tab_key_completes_in_a_real_shell(environment, shell, short_tmp):
    program = short_tmp / "bin" / "genvx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(genvx_argv())} "$@"\n')
    program.chmod(0o755)
    env = genvx_env(HOME=str(short_tmp), PATH=f"{program.parent}:{os.environ['PATH']}", PS1="> ")
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    terminal = Terminal([shutil.which(shell), *flags, "-i"], env)
    load = {
        "bash": 'eval "$(genvx completion bash)"',
        "zsh": 'autoload -U compinit; compinit -u; eval "$(genvx completion zsh)"',
        "fish": "genvx completion fish | source",
    }[shell]
    terminal.line(f"{load}; echo loa''ded")
    terminal.expect("loaded\r\n")
    terminal.key(f"genvx release {environment[:2]}\t")
    terminal.expect(environment[2:])
