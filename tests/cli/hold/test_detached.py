"""Options of genvx run --detach, as people see them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from genvx.fleet.delivery.bootstrap import agent_command
from genvx.fleet.hosts.hostfile import parse
from tests.capabilities import old_pythons
from tests.conftest import run_genvx
from tests.helpers import end_all_of, until


@pytest.fixture
def runs(state, short_tmp, monkeypatch):
    """A directory of our own for runs; none lives on behind the test."""
    place = short_tmp / "runs"
    monkeypatch.setenv("GENVX_RUNS_DIR", str(place))
    yield place
    end_all_of(short_tmp)


def test_a_run_in_a_terminal_is_watched_as_a_file_without_what_was_written_over(runs):
    line = "tty >/dev/null && printf '10%%\\r20%%\\rdone\\nlast'; exit 3"
    started = run_genvx("run", "-d", "--tty", "--", "sh", "-c", line)
    assert started.returncode == 0, started.stderr
    watched = run_genvx("watch")
    assert (watched.stdout, watched.returncode) == ("done\nlast", 3)


def test_a_log_that_was_cut_says_so_in_one_line(runs, short_tmp):
    go = short_tmp / "go"
    line = f"seq 300000; until [ -e {go} ]; do sleep 0.01; done; echo last"
    run_genvx("run", "-d", "--log-limit", "1M", "--", "sh", "-c", line)
    (directory,) = runs.iterdir()
    log = directory / "log"
    until(lambda: log.stat().st_size > 1_900_000 and log.stat().st_blocks * 512 <= 1 << 20)
    go.touch()
    until(lambda: "completed" in run_genvx("runs", "info").stdout)
    watched = run_genvx("watch")
    assert re.fullmatch(r"genvx: [0-9.]+ [KM]iB of the log are not kept any more\n", watched.stderr)
    assert watched.stdout.endswith("\n299999\n300000\nlast\n")


@pytest.mark.parametrize("size", ["1", "10K", "-1", "much"])
def test_a_limit_that_no_log_can_keep_is_refused(runs, size):
    refused = run_genvx("run", "-d", "--log-limit", size, "--", "true")
    assert refused.returncode == 2
    assert "--log-limit" in refused.stderr
    assert not runs.exists()


def test_programs_get_what_a_run_has_used(runs):
    run_genvx("run", "-d", "-g", "1", "--", "python3", "-S", "-c", "x = b'x' * (64 << 20)")
    until(lambda: "completed" in run_genvx("runs", "info").stdout)
    answer = json.loads(run_genvx("runs", "info", "--json").stdout)
    (run,) = answer["hosts"][0]["runs"]
    assert run["memory_bytes"] > 64 << 20
    assert run["user_seconds"] + run["system_seconds"] > 0
    assert run["gpu_memory_bytes"] is None  # it was over before anybody looked


def test_a_hostfile_says_where_the_runs_of_a_host_are(sandbox, short_tmp):
    place = short_tmp / "my runs"
    hostfile = Path(sandbox.hostfile)
    line = f'gpu-server-2 ssh_config=ssh_config runs="{place}"\n'
    other = hostfile.with_name("other")
    other.write_text(line)
    started = run_genvx("remote", "--hostfile", str(other), "run", "-d", "--", "echo", "here")
    assert started.returncode == 0, started.stderr
    assert os.listdir(place) == [started.stdout.strip()]
    assert run_genvx("remote", "--hostfile", str(other), "watch").stdout == "here\n"
    assert "there are no runs" in run_genvx("remote", "-H", "gpu-server-2", "watch").stderr


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.needs(shell))
        for shell in ("bash", "dash", "zsh", "fish", "tcsh")
    ],
)
def test_every_login_shell_passes_the_directory_of_runs_on(short_tmp, shell):
    python = short_tmp / "python"
    python.write_text('#!/bin/sh\necho "$GENVX_RUNS_DIR"\n')
    python.chmod(0o755)
    (spec,) = parse(f'a python={python} runs="~/my runs/+@~x"')
    answer = subprocess.run(
        [shell, "-c", agent_command(spec, "x" * 16)], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "~/my runs/+@~x\n"


@pytest.mark.needs("pythons")
@pytest.mark.parametrize("python", old_pythons())
def test_a_run_goes_on_with_every_python_that_a_host_may_have(sandbox, python):
    """Also with one that is too old for filelock."""
    other = Path(sandbox.hostfile).with_name("other")
    other.write_text(f"gpu-server-2 ssh_config=ssh_config python={python}\n")
    words = ("remote", "--hostfile", str(other))
    line = "seq 50000; tty >/dev/null && exit 3"
    options = ("-d", "-g", "1", "--tty", "--log-limit", "64K")
    started = run_genvx(*words, "run", *options, "--", "sh", "-c", line)
    assert started.returncode == 0, started.stderr
    watched = run_genvx(*words, "watch")
    assert watched.returncode == 3
    assert watched.stdout.endswith("\n50000\n")
