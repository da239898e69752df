"""Commands and shells in containers that are no runs, as they are typed: real podman, real sshd."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

import genvx
import genvx.aio
from genvx.core.runs.container import Mount
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local.host import LocalHost
from genvx.sandbox import sandbox as rooms
from tests.conftest import run_genvx
from tests.helpers import (
    Terminal,
    end,
    end_all_of,
    genvx_argv,
    genvx_env,
    held_on_hosts,
    runs_on_hosts,
    start_genvx,
    until,
)
from tests.local.runs.containers import IMAGE, own_podman

pytestmark = pytest.mark.needs("podman", "openssh")

_FOREVER = "trap 'echo ended; exit 3' INT TERM HUP; echo up; while :; do sleep 0.1; done"
# Nobody listens there, so a pull ends at once.
_MISSING = "localhost:1/genvx/none:1"


@pytest.fixture(scope="module")
def podman():
    with own_podman() as podman:
        yield podman


@pytest.fixture
def here(podman, monkeypatch, state, short_tmp):
    """This machine with podman, in a directory of its own; what `genvx` prints for words."""
    monkeypatch.setenv("PATH", f"{podman.programs}:{os.environ['PATH']}")
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    (short_tmp / "w").mkdir()
    monkeypatch.chdir(short_tmp / "w")
    yield short_tmp
    podman.clear()


@pytest.fixture(scope="module")
def fleet(podman, agent_cache):
    """Two hosts with podman, for all tests of this file."""
    directory = podman.root.parent / "s"
    sandbox = rooms.up(str(directory), ["1", "1"], server="openssh")
    shutil.copytree(agent_cache, directory / "cache")
    (directory / "bin/podman").symlink_to(podman.client)
    yield sandbox
    end_all_of(directory)
    rooms.down(str(directory))


@pytest.fixture
def remote(fleet, podman, monkeypatch):
    """These hosts as those of the command line."""
    monkeypatch.setenv("GENVX_HOSTFILE", fleet.hostfile)
    monkeypatch.setenv("GENVX_SSH_CONFIG", fleet.ssh_config)
    yield fleet
    podman.clear()
    until(lambda: not held_on_hosts())


def devices_in_use():
    return sum(len(each.devices) for each in LocalHost().snapshot().environments)


def test_a_command_has_our_streams_our_directory_and_its_gpus_only(here, podman):
    line = 'read x; echo "$x $PWD $HOME"; echo "$CUDA_VISIBLE_DEVICES" >&2; echo >left'
    line += "; echo >~/kept; exit 7"
    done = run_genvx(
        *("run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", line), stdin=None, input="hi\n"
    )
    assert done.returncode == 7
    assert done.stdout == f"hi {os.getcwd()} {here}/runs/home\n"
    assert done.stderr.startswith("SIM-")
    assert os.stat("left").st_uid == os.getuid()
    # What it has downloaded is there the next time.
    assert (here / "runs/home/kept").exists()
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_ctrl_c_reaches_the_command_once(here, podman):
    process = start_genvx("run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", _FOREVER)
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "ended\n"), err
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_the_end_of_its_time_reaches_the_command_once(here, podman):
    line = "trap 'echo ended; sleep 0.3; exit 3' TERM; trap '' HUP; echo up"
    line += "; while :; do sleep 0.1; done"
    done = run_genvx("run", "-g", "1", "--time", "2s", "--image", IMAGE, "--", "dash", "-c", line)
    assert (done.returncode, done.stdout) == (3, "up\nended\n"), done.stderr
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_a_client_of_the_runtime_that_is_killed_leaves_nothing(here, podman):
    process = start_genvx("run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", _FOREVER)
    assert process.stdout.readline() == "up\n"
    (client,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(client), signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 137
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_the_container_holds_the_lease_when_all_else_is_killed(here, podman):
    process = start_genvx("run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", _FOREVER)
    assert process.stdout.readline() == "up\n"
    end(process)
    assert (len(podman.names()), devices_in_use()) == (1, 1)
    podman.clear()
    until(lambda: devices_in_use() == 0)


def test_an_image_that_is_nowhere_is_one_line_that_says_how_to_pull_it(here):
    done = run_genvx("run", "--image", _MISSING, "--", "true")
    assert done.returncode == 125
    last = done.stderr.splitlines()[-1]
    assert last == (
        f"genvx: podman on {os.uname().nodename} has no image {_MISSING}, and could not pull it; "
        f"to try there: podman pull {_MISSING}"
    )


def test_a_terminal_is_that_of_the_container(here, podman):
    terminal = Terminal(genvx_argv("activate", "-g", "1", "--image", IMAGE), genvx_env())
    terminal.line(
        '[ -t 0 ] && echo "$CUDA_VISIBLE_DEVICES"; [ -e /usr/bin/python3 ] || echo in""side'
    )
    assert "SIM-" in terminal.expect("inside")
    terminal.line("sleep 600")
    terminal.key("\x03")
    terminal.line("exit 5")
    assert terminal.end() == 5
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_its_root_directory_cannot_be_that_of_the_host(here, monkeypatch):
    monkeypatch.chdir("/")
    with pytest.raises(genvx.InvalidInput, match="start in another directory"):
        genvx.run("true", image=IMAGE)


# On other hosts


def test_a_remote_command_has_our_streams_and_its_exit_code(remote, podman):
    words = ["remote", "run", "-g", "1", "--image", IMAGE, "--"]
    line = 'read x; echo "$x"; echo "$CUDA_VISIBLE_DEVICES" >&2; [ -e /usr/bin/python3 ] || exit 9'
    done = run_genvx(*words, "dash", "-c", line, stdin=None, input="hi\n")
    assert (done.returncode, done.stdout) == (9, "hi\n")
    assert "SIM-" in done.stderr
    assert (podman.names(), held_on_hosts()) == ([], [])


def test_ctrl_c_ends_a_remote_container(remote, podman):
    words = ["remote", "run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", _FOREVER]
    process = start_genvx(*words)
    assert process.stdout.readline() == "up\n"
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (3, "ended\n")
    assert (podman.names(), held_on_hosts()) == ([], [])


def test_a_killed_client_ends_the_container_and_the_lease(remote, podman):
    words = ["remote", "run", "-g", "1", "--image", IMAGE, "--", "dash", "-c", _FOREVER]
    process = start_genvx(*words)
    assert process.stdout.readline() == "up\n"
    assert len(held_on_hosts()) == 1
    end(process)
    until(lambda: not held_on_hosts())
    assert podman.names() == []


def test_one_command_starts_in_containers_of_several_hosts(remote, podman):
    line = '[ -e /usr/bin/python3 ] || echo "$NODE_RANK of $NNODES"'
    words = ["remote", "run", "-N", "2", "-g", "1", "--image", IMAGE, "--", "dash", "-c", line]
    done = run_genvx(*words)
    assert done.returncode == 0, done.stderr
    ends = sorted(each.partition("| ")[2] for each in done.stdout.splitlines())
    assert ends == ["0 of 2", "1 of 2"]
    assert podman.names() == []


def test_a_remote_shell_in_a_container_ends_with_its_client(remote, podman):
    words = genvx_argv("remote", "activate", "-g", "1", "--image", IMAGE)
    terminal = Terminal(words, genvx_env())
    terminal.line('[ -t 0 ] && [ ! -e /usr/bin/python3 ] && echo in""side; sleep 600')
    terminal.expect("inside")
    assert len(held_on_hosts()) == 1
    terminal.child.kill(signal.SIGKILL)
    until(lambda: not held_on_hosts())
    assert podman.names() == []


def test_a_remote_shell_without_a_terminal_reads_commands_of_stdin(remote):
    words = ["remote", "activate", "-g", "1", "--image", IMAGE]
    done = run_genvx(*words, stdin=None, input="[ -e /usr/bin/python3 ] || exit 6\n")
    assert done.returncode == 6


def test_the_parts_of_a_cluster_start_in_containers(remote):
    words = ["remote", "cluster", "dask", "-g", "1", "--image", IMAGE, "--", "true"]
    # Its Python is that of the image, which has none.
    done = run_genvx(*words)
    assert done.returncode == 1
    (run,) = [run for _, run in runs_on_hosts()] or pytest.fail(done.stderr)
    assert run.spec.container.image == IMAGE
    assert "failed to exec" in Path(run.directory, "log").read_text()


def test_a_host_whose_runtime_does_not_answer_is_named(remote):
    docker = Path(remote.directory, "bin/docker")
    docker.write_text("#!/bin/sh\necho cannot connect; exit 1\n")
    docker.chmod(0o755)
    words = ["remote", "run", "-g", "1", "--image", IMAGE, "--runtime", "docker", "--", "true"]
    try:
        done = run_genvx(*words)
    finally:
        docker.unlink()
    assert done.returncode == 3
    refused = "docker does not answer on this host: cannot connect"
    assert f"  gpu-server-1: {refused}" in done.stderr.splitlines()
    assert "--wait" not in done.stderr


# From programs


def test_a_program_runs_a_command_in_a_container(here, podman):
    line = 'read x; echo "$x $PWD"; [ -e /usr/bin/python3 ] || exit 3'
    done = genvx.run(line, gpus=1, image=IMAGE, input=b"hi\n", capture_output=True)
    assert (done.returncode, done.stdout) == (3, f"hi {os.getcwd()}\n".encode())
    with pytest.raises(subprocess.TimeoutExpired, match="sleep 600"):
        genvx.run("sleep 600", gpus=2, image=IMAGE, timeout=0.5)
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_a_cancelled_task_leaves_no_container(here, podman):
    async def main():
        wanted = ["sh", "-c", "echo >up; sleep 600"]
        task = asyncio.create_task(genvx.aio.run(wanted, gpus=1, image=IMAGE))
        while not os.path.exists("up"):
            await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (podman.names(), devices_in_use()) == ([], 0)


def test_runs_and_sweeps_of_a_program_start_in_containers(here, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "data"))
    (here / "w/data").mkdir()
    line = '[ -d /data ] && [ ! -e /usr/bin/python3 ] && echo "in $PWD"'
    run = genvx.run(line, gpus=1, image=IMAGE, mounts="data:/data:ro", detach=True)
    assert run.wait() == 0
    assert run.info.spec.container.mounts == (Mount(f"{here}/w/data", "/data", read_only=True),)
    (here / "w/try.sh").write_text('[ -e /usr/bin/python3 ] || echo "$1" >>"$GENVX_REPORT"\n')
    fleet = genvx.Fleet([LocalHost()])
    sweep = fleet.sweep(
        ["sh", "try.sh", '{{"value": {x}}}'], {"x": [1, 2]}, gpus=1, image=IMAGE, project="."
    )
    assert [each.value for each in sweep.ranked] == [2, 1]


def test_a_fleet_runs_a_command_in_a_container_of_a_host(remote, podman):
    with connect_fleet(load(remote.hostfile), config=remote.ssh_config) as fleet:
        line = '[ -e /usr/bin/python3 ] || echo "in $X"; exit 4'
        done = fleet.run(line, gpus=1, image=IMAGE, env={"X": "box"}, capture_output=True)
        assert (done.returncode, done.stdout) == (4, b"in box\n")
        with pytest.raises(subprocess.TimeoutExpired):
            fleet.run("sleep 600", gpus=1, image=IMAGE, timeout=1)
        until(lambda: not held_on_hosts())
    assert podman.names() == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"image": ""}, "--image is the name"),
        ({"image": "-v"}, "--image is the name"),
        ({"runtime": "podman"}, "--runtime goes with --image"),
        ({"mounts": "/a:/b"}, "--mount goes with --image"),
        ({"image": "x", "runtime": "lxc"}, "--runtime is one of"),
        ({"image": "x", "mounts": ["/a"]}, "--mount is A:B"),
    ],
)
@pytest.mark.parametrize("detach", [True, False])
def test_a_program_is_refused_what_makes_no_sense(more, why, detach, state):
    with pytest.raises(genvx.InvalidInput, match=why):
        genvx.run("true", detach=detach, **more)
    with pytest.raises(genvx.InvalidInput, match=why):
        genvx.Fleet([LocalHost()]).run("true", detach=detach, **more)


def test_a_python_of_the_host_is_refused_with_an_image(state):
    with pytest.raises(genvx.InvalidInput, match="the image has its own Python"):
        genvx.run("true", detach=True, image="x", python="/usr/bin/python3")


@pytest.mark.parametrize(("verb", "image"), [("run", ""), ("activate", "--privileged")])
def test_what_is_no_image_is_refused_before_anything_happens(verb, image, state):
    done = run_genvx(verb, f"--image={image}", "--", "true")
    assert done.returncode == 2
    assert "--image is the name of an image" in done.stderr
