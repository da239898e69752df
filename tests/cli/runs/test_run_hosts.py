"""Runs on hosts of all kinds: login shells, another server, disks that are full or read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from genvx.core.runs.runstate import name_of
from genvx.core.wire.runoperations import FindRuns
from genvx.local.host import LocalHost
from tests.conftest import run_genvx
from tests.doors import door
from tests.helpers import snapshot_of, until

SHELLS = [
    pytest.param("openssh", shell, marks=pytest.mark.needs("openssh", shell))
    for shell in ("bash", "zsh", "fish", "tcsh", "dash")
]
SERVERS = [*SHELLS, pytest.param("dropbear", "bash", marks=pytest.mark.needs("dropbear", "bash"))]
# What a shell on the way would change.
HARD = 'it\'s $HOME "!x" `y` \\ * {a,b} ~ %d'


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize(("server", "shell"), SERVERS)
def test_a_run_is_started_stopped_and_watched_through_every_login_shell(
    short_tmp, agent_cache, server, shell
):
    shutil.copytree(agent_cache, short_tmp / "cache")
    with door(server, short_tmp, shell=shutil.which(shell)) as host:
        environ = host.environ(f"IdentityFile {host.key}", "IdentityAgent none")

        def remote(*words):
            return run_genvx("remote", "-H", "door", *words, env=environ)

        line = 'printf "%s\\n" "$1"; exec sleep 1000'
        begun = remote("run", "-d", "-g", "1", "--", "sh", "-c", line, "sh", HARD)
        assert begun.returncode == 0, begun.stderr
        run = begun.stdout.strip()
        until(lambda: remote("logs", run).stdout == f"{HARD}\n", "its line is in the log")
        stopped = remote("runs", "stop", run)
        assert stopped.stdout == f"Stopped run {run} on door\n", stopped.stderr
        watched = remote("watch", run)
        assert (watched.stdout, watched.returncode) == (
            f"{HARD}\ngenvx: stopped (asked)\n",
            128 + 15,
        )


@contextlib.contextmanager
def disk(path, *options):
    """A small disk of its own there."""
    path.mkdir(parents=True, exist_ok=True)
    words = ["-o", ",".join(("size=256k", "mode=700", *options))]
    subprocess.run(["mount", "-t", "tmpfs", *words, "tmpfs", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    with open(path / "filler", "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 1024)


@pytest.fixture
def host(sandbox):
    """The first host of a sandbox, and its disk for what users have."""
    first = sandbox.hosts[0]
    with disk(sandbox_share(first)):
        yield first


def sandbox_share(host):
    return Path(host.home, ".local", "share", "genvx")


def remote(*words):
    return run_genvx("remote", "-H", "gpu-server-1", *words)


@pytest.mark.needs("openssh", "root", "namespaces")
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("full", "the disk is full"),
        # What was asked can be written, and no state.
        ("full but for one page", "the disk is full"),
        ("read-only", "read-only"),
    ],
)
def test_where_runs_cannot_be_written_one_is_refused_in_one_line(host, trouble, said):
    share = sandbox_share(host)
    (share / "page").write_bytes(b"x" * 4096)
    if trouble == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", share], check=True)
    else:
        fill(share)
    if trouble == "full but for one page":
        (share / "page").unlink()
    refused = remote("run", "-d", "-g", "1", "--", "true")
    assert refused.returncode == 6
    (line,) = refused.stderr.splitlines()
    assert said in line
    assert "GENVX_RUNS_DIR" in line
    assert len(snapshot_of(host).available) == 1
    assert not (share / "runs").exists() or os.listdir(share / "runs") == []


@pytest.mark.needs("openssh", "root", "namespaces")
def test_a_run_goes_on_while_the_disk_is_full_and_its_end_is_right_once_there_is_room(
    host, short_tmp
):
    go, done = short_tmp / "go", short_tmp / "done"
    line = f"until [ -e {go} ]; do sleep 0.01; done; echo lost; touch {done}; exit 3"
    run = remote("run", "-d", "-g", "1", "--", "sh", "-c", line).stdout.strip()
    environ = {**os.environ, **host.variables("/nowhere")}

    def state():
        (found,) = LocalHost(environ=environ).answer(FindRuns(run))
        return name_of(found.state)

    share = sandbox_share(host)
    fill(share)
    go.touch()
    until(done.exists, "it goes on")
    until(lambda: len(snapshot_of(host).available) == 1, "its GPU is free")
    assert state() == "running"
    (share / "filler").unlink()
    until(lambda: state() == "failed", "its end is written")
    assert remote("watch", run).returncode == 3
