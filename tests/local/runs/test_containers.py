"""Runs in containers: real podman, whose containers hold the lease. Docker is podman under another
name: with the words for docker, its container does not hold the lease, as a daemon's does not.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from genvx.core.finding import OK
from genvx.core.runs.container import Container, Mount, Runtime
from genvx.errors import InvalidInput, Unsatisfiable
from genvx.local import processes
from genvx.local.running.runtimes import all_here
from genvx.local.runs import lock
from tests.helpers import alive, until
from tests.local.runs.containers import IMAGE, own_podman
from tests.local.runs.test_runs import asked, ends_as, free, log_of, state_of

pytestmark = pytest.mark.needs("podman")


@pytest.fixture(scope="module")
def podman():
    with own_podman() as podman:
        yield podman


@pytest.fixture
def here(podman, monkeypatch, host):
    """This machine, with podman on its PATH before another one."""
    path = f"{podman.programs}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    from genvx.local.host import LocalHost

    yield LocalHost()
    for each in lock.living(host.state):
        os.kill(each.pid, signal.SIGKILL)  # so that nobody starts anything meanwhile
    podman.clear()


@pytest.fixture
def start(here):
    from genvx.local.runs.launch import submit

    return lambda spec: submit(here, spec)


def inside(line, *mounts, runtime=None, **more):
    container = Container(IMAGE, runtime, mounts)
    return asked("dash", "-c", line, container=container, **more)


def supervisor_of(host, run):
    (found,) = [each.pid for each in lock.living(host.state) if each.id == run.id]
    return found


def client_of(run):
    """The pid of podman's client."""
    for pid in processes.pids():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[1:2] == [b"run"] and f"--name=genvx-{run.id}".encode() in words:
            return pid
    return None


# A first process gets SIGTERM only if it handles it.
_FOREVER = "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done"


def test_a_run_starts_in_its_image_and_ends_with_its_code(here, start, catalog, podman):
    run = start(inside('echo "$PWD $GENVX_RUN_ID $CUDA_VISIBLE_DEVICES"; [ -e /usr/bin/python3 ]'))
    assert ends_as(catalog, run, "failed").state.end.exit_code == 1
    (uuid,) = run.state.devices if hasattr(run.state, "devices") else ("",)
    directory = os.path.join(here.environ["GENVX_RUNS_DIR"], run.id)
    assert log_of(here, run) == f"{directory}/work {run.id} {uuid}\n"
    assert podman.names() == []
    until(lambda: free(here) == 2)


def test_a_container_has_the_mounts_and_the_variables_of_its_run(here, start, catalog, tmp_path):
    (tmp_path / "in").write_text("")
    variables = {"TOKEN": "a b\nc", "PATH": "/bin:/else", "HOME": "/mine"}
    variables["NVIDIA_VISIBLE_DEVICES"] = "all"  # as images for CUDA say it
    line = 'set -- /data/*; echo "$1|$TOKEN|$PATH|$HOME|$NVIDIA_VISIBLE_DEVICES"'
    line += "; (echo x >/data/out); echo y >y"
    mount = Mount(str(tmp_path), "/data", read_only=True)
    run = start(inside(line, mount, variables=variables))
    ends_as(catalog, run, "completed")
    said = log_of(here, run).splitlines()
    assert said[:2] == ["/data/in|a b", "c|/bin:/else|/mine|void"]
    assert "Read-only" in said[-1]
    assert not (tmp_path / "out").exists()
    # What it leaves is the owner's, and where the run's files are.
    left = os.path.join(here.environ["GENVX_RUNS_DIR"], run.id, "work", "y")
    assert os.stat(left).st_uid == os.getuid()


def test_variables_are_not_seen_in_ps(start, catalog):
    run = start(inside(_FOREVER, variables={"TOKEN": "secret-7391"}))
    with open(f"/proc/{until(lambda: client_of(run))}/cmdline") as file:
        words = file.read()
    assert "--env=TOKEN\0" in words
    assert "secret-7391" not in words
    catalog.stop(run.id)


def test_a_command_in_a_container_gets_sigterm_once_when_it_is_stopped(here, start, catalog):
    line = "trap 'echo term; exit 9' TERM; echo up; while :; do sleep 0.1; done"
    run = start(inside(line))
    until(lambda: "up" in log_of(here, run))
    catalog.stop(run.id)
    assert ends_as(catalog, run, "stopped").state.end.exit_code == 9
    assert log_of(here, run).count("term") == 1


def test_a_runtime_that_hangs_does_not_put_off_the_end_of_the_grace(here, start, catalog, podman):
    run = start(inside("trap '' TERM; echo up; while :; do sleep 0.1; done"))
    until(lambda: "up" in log_of(here, run))
    good = podman.client.rename(podman.client.with_name("good"))
    called = podman.root / "called"
    hang = f'if [ "$1" = kill ]; then echo $$ >{called}; exec sleep 1000; fi'
    podman.client.write_text(f'#!/bin/sh\n{hang}\nexec {good} "$@"\n')
    podman.client.chmod(0o755)
    try:
        catalog.stop(run.id, 0.5)
        hung = int(str(until(lambda: called.exists() and called.read_text())))
        until(lambda: not alive(hung), "the client that hangs is killed", patience=15)
        assert ends_as(catalog, run, "stopped").state.end.signal == signal.SIGKILL
    finally:
        good.rename(podman.client)


def test_a_run_that_is_stopped_while_its_container_starts_leaves_none(here, start, catalog, podman):
    runs = [start(inside(_FOREVER)) for _ in range(2)]
    for run in runs:
        catalog.stop(run.id)
    for run in runs:
        assert ends_as(catalog, run, "stopped").state.end.signal != signal.SIGKILL
    assert podman.names() == []
    until(lambda: free(here) == 2)


@pytest.fixture
def docker(podman):
    """Podman by the name of docker. Its containers inherit no descriptor, as those of a daemon."""
    client = podman.programs / "docker"
    client.write_text(
        f"#!{sys.executable} -SE\nimport os, sys\nos.closerange(3, 1024)\n"
        "if sys.argv[1:] == ['--version']:\n    sys.exit(print('Docker version 28.3.0'))\n"
        f"os.execv({str(podman.client)!r}, sys.argv)\n"
    )
    client.chmod(0o755)
    yield client
    client.unlink()


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("runtime", [Runtime.PODMAN, Runtime.DOCKER])
def test_a_container_ends_when_its_client_is_killed(here, start, catalog, podman, runtime):
    run = start(inside(_FOREVER, runtime=runtime))
    until(lambda: "up" in log_of(here, run))
    os.kill(client_of(run), signal.SIGKILL)
    assert ends_as(catalog, run, "failed").state.end.exit_code == 137
    assert podman.names() == []
    until(lambda: free(here) == 2)


def test_the_lease_lives_as_long_as_the_container_when_all_else_is_killed(
    here, start, catalog, podman
):
    run = start(inside(_FOREVER))
    until(lambda: "up" in log_of(here, run))
    client = client_of(run)
    os.kill(supervisor_of(here, run), signal.SIGKILL)
    os.kill(client, signal.SIGKILL)
    until(lambda: client_of(run) is None)
    assert podman.names() == [f"genvx-{run.id}"]
    assert free(here) == 1
    catalog.stop(run.id)
    until(lambda: podman.names() == [])
    until(lambda: free(here) == 2)
    assert state_of(catalog, run) == "lost"


@pytest.mark.usefixtures("docker")
def test_doctor_names_a_container_of_docker_whose_lease_is_gone(here, start, podman):
    alive, lost = (start(inside(_FOREVER, runtime=Runtime.DOCKER)) for _ in range(2))
    until(lambda: "up" in log_of(here, lost) and "up" in log_of(here, alive))
    client = client_of(lost)
    os.kill(supervisor_of(here, lost), signal.SIGKILL)
    os.kill(client, signal.SIGKILL)
    until(lambda: free(here) == 1)
    found = [each for each in here.doctor() if each.check == "containers"]
    assert {each.result for each in found if each.severity is not OK} == {
        f"container genvx-{lost.id} goes on, but nothing holds the GPUs of its run {lost.id}"
    }
    podman("rm", "--force", f"genvx-{lost.id}")


def test_a_run_ends_when_podman_fails_meanwhile(here, start, catalog, podman):
    run = start(inside(_FOREVER))
    until(lambda: "up" in log_of(here, run))
    good = podman.client.read_text()
    try:
        podman.client.write_text("#!/bin/sh\necho broken >&2; exit 125\n")
        os.kill(client_of(run), signal.SIGKILL)
        ends_as(catalog, run, "failed")
        until(lambda: free(here) == 2)
    finally:
        podman.client.write_text(good)
    assert "podman does not remove container" in log_of(here, run)


def test_what_cannot_start_is_refused_in_one_line(here, start, monkeypatch, tmp_path):
    with pytest.raises(InvalidInput, match="no such file or directory: /none"):
        start(inside("true", Mount("/none", "/x")))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsatisfiable, match="no container runtime on this host"):
        start_without(inside("true"))
    (tmp_path / "docker").write_text("#!/bin/sh\necho cannot connect >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    with pytest.raises(Unsatisfiable, match="docker does not answer on this host: cannot connect"):
        start_without(inside("true"))


def test_docker_that_is_podman_is_used_as_podman(here, start, catalog, podman):
    (podman.programs / "docker").symlink_to(podman.client)
    try:
        run = start(inside("echo up; [ -e /dev/fd/3 ]", runtime=Runtime.DOCKER))
        assert ends_as(catalog, run, "completed")
        assert [each.runtime for each in all_here(here.environ)].count(Runtime.PODMAN) == 1
    finally:
        (podman.programs / "docker").unlink()


def test_the_log_says_that_an_image_is_nowhere_and_how_to_pull_it(here, start, catalog):
    image = "localhost:1/genvx/none:1"  # nobody listens there, so a pull ends at once
    run = start(asked("true", container=Container(image)))
    assert ends_as(catalog, run, "failed").state.end.exit_code == 125
    assert f"has no image {image}, and could not pull it" in log_of(here, run).splitlines()[-1]


def start_without(spec):
    """Submit a run by a machine that finds programs on the PATH of now."""
    from genvx.local.host import LocalHost
    from genvx.local.runs.launch import submit

    return submit(LocalHost(), spec)
