"""Runs on this machine as a program has them, with asyncio too; and the examples of the docs."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys

import pytest

import genvx
import genvx.aio
from genvx.core.projects.project import MUCH_BYTES
from genvx.local.host import LocalHost
from genvx.sandbox.files import make_key
from genvx.testing import FakeHost, Played
from tests.helpers import ROOT, genvx_env, until


@pytest.fixture
def machine(state, short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield LocalHost()
    for run in genvx.runs():
        run.stop(force=True)


def free(host):
    return len(host.snapshot().available)


def test_a_command_that_is_attached_gives_its_devices_back(machine, tmp_path):
    done = genvx.run('echo "$A $GENVX_DEVICES"; pwd', 2, env={"A": "b"}, capture_output=True)
    assert done.stdout.decode() == f"b 0,1\n{tmp_path}\n"
    with pytest.raises(subprocess.CalledProcessError):
        genvx.run("exit 3", 1, check=True)
    with pytest.raises(genvx.CommandNotFound), genvx.activate(2):
        genvx.run(["no such command"], detach=True)
    with pytest.raises(TypeError):
        genvx.run("true", hold=5)
    assert free(machine) == 2
    assert "GENVX_ENVIRONMENT_ID" not in os.environ


def test_the_time_of_an_attached_command_ends_it_alone(machine):
    assert genvx.run("exec sleep 600", 1, time=1).returncode == 143
    assert free(machine) == 2


def test_a_detached_run_starts_in_this_directory_and_outlives_its_program(machine, tmp_path):
    code = "import genvx; print(genvx.run('pwd; exit 5', 1, detach=True, name='x').id)"
    argv = [sys.executable, "-c", code]
    started = subprocess.run(argv, env=genvx_env(), capture_output=True, text=True, check=True)
    run = genvx.find_run("x")
    assert (run.id, run.wait(), run.log().decode()) == (started.stdout.strip(), 5, f"{tmp_path}\n")
    assert genvx.runs("failed") == [run]


def test_a_run_whose_program_cannot_start_has_failed_when_it_is_returned(machine):
    for _ in range(3):
        run = genvx.run(["/no/such/program"], 2, detach=True)
        assert (run.state, run.returncode, free(machine)) == ("failed", None, 2)


def test_a_run_has_a_terminal_and_a_log_of_limited_length(machine):
    line = "test -t 1 && echo terminal; seq 200000; echo end"
    run = genvx.run(line, detach=True, tty=True, log_limit=1 << 16)
    assert run.wait() == 0
    assert (run.info.spec.tty, run.info.spec.log_limit) == (True, 1 << 16)
    assert run.log(lines=1) == b"end\r\n"
    assert len(run.log()) < 1 << 20
    assert genvx.run("test -t 1 && echo terminal", detach=True, tty=True).wait() == 0


@pytest.mark.needs("openssh")
def test_a_run_has_a_debug_port_that_says_where_it_is(machine, tmp_path):
    public = make_key(str(tmp_path / "key"), "x")
    port = genvx.DebugPort((public,), bind="127.0.0.1")
    run = genvx.run(["sleep", "1000"], detach=True, debug_port=port)
    found = run.info.open_port
    assert found.line(run.id, "key").endswith(f" -p {found.port} {found.user}@127.0.0.1")
    socket.create_connection(("127.0.0.1", found.port)).close()
    run.stop(force=True)
    assert run.info.open_port is None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", found.port)).close()


LISTENS = "exec python3 -m http.server --bind 127.0.0.1 {port}"


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_run_serves_on_a_port_of_its_host(machine):
    run = genvx.run(LISTENS, detach=True, tags=["x"], service=genvx.Service(ready="/"))
    until(lambda: run.state == "running")
    port = run.info.state.port
    until(lambda: answers(port))
    assert (run.info.spec.service, run.info.tags) == (genvx.Service(ready="/"), ("serve", "x"))
    with pytest.raises(genvx.InvalidInput, match=r"service is a genvx\.Service, not 8000"):
        genvx.run(LISTENS, detach=True, service=8000)
    with pytest.raises(TypeError):
        genvx.run(LISTENS, service=genvx.Service())

    async def work():
        run = await genvx.aio.run(LISTENS, detach=True, service=genvx.Service(port))
        assert (await run.info()).spec.service == genvx.Service(port)
        await run.stop(force=True)

    run.stop(force=True)
    asyncio.run(work())


def test_asyncio_has_runs(machine):
    async def work():
        done = await genvx.aio.run("cat; echo $GENVX_DEVICES", 1, input=b"x", capture_output=True)
        assert done.stdout == b"x0\n"
        run = await genvx.aio.run("echo a; printf b; exec sleep 600", 1, name="x", detach=True)
        lines = run.follow()
        assert await anext(lines) == b"a\n"
        assert (await run.exec("echo $GENVX_RUN_ID", capture_output=True)).stdout == (
            f"{run.id}\n".encode()
        )
        assert [await genvx.aio.find_run("x"), *await genvx.aio.runs("running")] == [run, run]
        assert (await run.state(), await run.returncode()) == ("running", None)
        waiting = asyncio.ensure_future(run.wait())
        await run.stop(grace=30)
        assert await waiting == 143
        rest = [line async for line in lines]
        assert rest == [b"b\n", b"genvx: stopped (asked)\n"]
        assert (await run.info()).state.why.value == "asked"

    asyncio.run(work())
    assert free(machine) == 2


def test_asyncio_waits_and_follows_until_it_is_cancelled(machine):
    async def work():
        run = await genvx.aio.run("exec sleep 600", 1, detach=True)

        async def follow():
            return [line async for line in run.follow()]

        for waits in (run.wait(), follow(), run.exec("exec sleep 600")):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await waits
        assert await run.state() == "running"

    asyncio.run(work())


def test_asyncio_has_the_runs_of_a_fleet():
    gone = genvx.HostUnreachable("gone")
    host = FakeHost("a", 2, script=lambda spec: Played(b"1\n2", 3))

    async def work():
        async with genvx.aio.Fleet(genvx.Fleet([host, FakeHost("b", error=gone)])) as fleet:
            run = await fleet.run("train", gpus=1, name="x", detach=True)
            assert [line async for line in run.follow()] == [b"1\n", b"2"]
            assert (await run.wait(), str(run.host)) == (3, "a")
            found = await fleet.runs(name="x")
            assert (found, found.failed) == ([run], {"b": gone})
            assert await fleet.find_run("x") == run
            assert list((await fleet.snapshot()).succeeded) == ["a"]
            assert [each async for each in run.follow_all()] == [(0, b"1\n"), (0, b"2")]

    asyncio.run(work())
    assert host.closed


def test_asyncio_has_the_devices_of_a_fleet_and_leaves_none_behind():
    hosts = [FakeHost(name, 1) for name in "ab"]

    def left():
        snapshots = [host.snapshot() for host in hosts]
        return sum(len(each.available) for each in snapshots), sum(
            len(each.tickets) for each in snapshots
        )

    async def work():
        fleet = genvx.aio.Fleet(genvx.Fleet(hosts))
        async with fleet.activate(1) as hold, fleet.activate(1, name="x") as other:
            assert {str(hold.host), str(other.host), other.grant.name} == {"a", "b", "x"}
            assert (await hold.run("train", check=True)).returncode == 0
            waiting = (
                fleet.activate(1, wait=600).__aenter__(),
                fleet.gang(2, 1, wait=600).__aenter__(),
                fleet.run("train", 1, wait=600),
            )
            for each in waiting:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await each
            assert left() == (0, 0)
        async with fleet.gang(2, 1) as gang:
            assert [str(host) for host, _ in gang.members] == ["a", "b"]
            assert left() == (0, 0)
        assert (await fleet.run("train", 1)).returncode == 0

    asyncio.run(work())
    assert left() == (2, 0)


def test_a_program_brings_the_code_of_a_run_along(machine, tmp_path):
    code = tmp_path / "code"
    (code / "sub").mkdir(parents=True)
    (code / "sub/name").write_text("of the project\n")
    brought = {"project": code, "cwd": "sub", "detach": True}
    run = genvx.run("cat name; echo more >>name; pwd", **brought)
    assert run.wait() == 0
    assert run.log().decode().splitlines()[0] == "of the project"
    assert run.log().endswith(b"/work/sub\n")
    assert (code / "sub/name").read_text() == "of the project\n"
    again = asyncio.run(genvx.aio.run("cat name", **brought))
    assert asyncio.run(again.wait()) == 0
    assert asyncio.run(again.log()) == b"of the project\n"
    with pytest.raises(genvx.InvalidInput, match="the project has no directory"):
        genvx.run("true", project=code, cwd="/tmp", detach=True)

    host = FakeHost("a")
    fleet = genvx.Fleet([host])
    of_fake = fleet.run("train", **brought)
    spec = of_fake.info.spec
    assert (spec.project.tree, spec.cwd) == (run.info.spec.project.tree, "sub")
    assert list(host.runs.trees) == [spec.project.tree]
    os.truncate(code / "sub/name", MUCH_BYTES + 1)
    with pytest.raises(genvx.InvalidInput, match=r"largest are sub .*yes=True sends all"):
        fleet.run("train", **brought)
    assert fleet.run("train", **brought, yes=True).info.spec.project.size > MUCH_BYTES
    (code / "out").symlink_to("/etc/passwd")
    with pytest.raises(genvx.InvalidInput, match="the link out leads out of it"):
        asyncio.run(genvx.aio.Fleet(fleet).run("train", **brought, yes=True))
    assert fleet.run("train", **brought, yes=True, follow_links=True).info.spec.project.files == 2


def test_a_program_chooses_the_python_of_a_run(machine, short_tmp):
    code = short_tmp / "code"
    code.mkdir()
    (code / "requirements.txt").write_text("some\n")
    host = FakeHost("a", 1)
    run = genvx.Fleet([host]).run("train", detach=True, project=code)
    python = run.info.spec.python
    assert python.source == "requirements.txt"
    assert {run.info.spec.project.tree, python.needs, python.pip} == set(host.runs.trees)
    for wrong in ({"python": "auto"}, {"wheels": code}, {"python": "none", "extras": "gpu"}):
        with pytest.raises(genvx.InvalidInput, match=r"needs a project|goes with --python auto"):
            genvx.run("train", detach=True, **wrong)
    plain = genvx.run("echo $A", detach=True, project=code, python="none", setup="A=it; export A")
    assert plain.wait() == 0
    assert plain.log() == b"it\n"


def test_a_run_that_nobody_waits_for_any_more_is_ended():
    host = FakeHost("a", 1, script=lambda spec: Played(code=None))

    async def work():
        fleet = genvx.aio.Fleet(genvx.Fleet([host]))
        starting = asyncio.ensure_future(fleet.run("train", gpus=1, detach=True))
        await asyncio.sleep(0)  # it has begun
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(work())
    assert len(host.snapshot().available) == 1


def blocks(page, heading):
    section = (ROOT / page).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.mark.needs("openssh")
def test_the_example_of_the_page_about_runs_works(sandbox, monkeypatch):
    monkeypatch.chdir(sandbox.directory)
    (example,) = blocks("docs/how-to/runs.md", "From Python")
    argv = [sys.executable, "-c", example]
    ran = subprocess.run(argv, env=genvx_env(), capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.stderr) == ("rate 0.1\n", "")
    with genvx.Fleet.from_hostfile("hostfile") as fleet:
        until(lambda: len(fleet.runs("completed", "sweep")) == 3)


def test_the_example_of_a_test_with_runs_works():
    exec(blocks("docs/reference/python.md", "Tests")[-1], {"genvx": genvx})


def test_runs_are_loaded_when_they_are_used():
    code = (
        "import sys, genvx; genvx.activate; genvx.Fleet\n"
        "print([name for name in sys.modules if 'run' in name and 'genvx' in name])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")
