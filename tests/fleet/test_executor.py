"""Functions that are called in workers on the hosts, as a program has them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import cloudpickle
import pytest

import genvx
from genvx.errors import AgentError, CallFailed, InvalidInput, NoCapacity, WorkerDied
from genvx.fleet.executing.parcel import Parcel
from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local.host import LocalHost
from genvx.testing import FakeHost
from tests.helpers import PATIENCE, alive, genvx_env, on_hosts, until

# Not a module of the workers: what is defined here travels by value.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def here(state):
    with Fleet([LocalHost("here")]) as fleet:
        yield fleet


def wait(barrier):
    """Come back when a file is there."""
    until(lambda: os.path.exists(barrier), "the barrier")


def where(_=None):
    return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid()


def leave_behind():
    """Start a process that nothing but the end of the worker ends; return its pid."""
    return subprocess.Popen(["setsid", "sleep", "600"], stdout=subprocess.DEVNULL).pid


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def leave_behind_and_die(path):
    path.write_text(str(leave_behind()))
    die()


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one}{two}")


def raise_odd():
    raise Odd(1, 2)


# On real hosts


def test_calls_go_to_both_hosts_and_their_results_come_in_order(make_sandbox, capfd):
    sandbox = make_sandbox("1", "1")
    barrier = Path(sandbox.directory) / "barrier"

    def work(number):
        print(f"\x1b[1mcall {number}")
        sys.stderr.flush()
        os.system("echo from a shell")
        deadline = time.monotonic() + 60
        while not os.path.exists(f"{barrier}{number}") and time.monotonic() < deadline:
            time.sleep(0.01)
        return number, os.environ["CUDA_VISIBLE_DEVICES"]

    with (
        connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet,
        fleet.executor(gpus=1) as pool,
    ):
        assert len(pool.hosts) == 1
        results = pool.map(work, range(3))
        until(lambda: pool.hosts == ("gpu-server-1", "gpu-server-2"), "a worker on each host")
        for number in (2, 1, 0):
            Path(f"{barrier}{number}").touch()
        found = list(results)
        assert [number for number, _ in found] == [0, 1, 2]
        assert len({device for _, device in found}) == 2
        with pytest.raises(ZeroDivisionError) as caught:
            pool.submit(lambda: 1 / 0).result()
        assert "in <lambda>" in str(caught.value.__cause__)
        lost = pool.submit(leave_behind_and_die, barrier)
        with pytest.raises(WorkerDied, match=r"^gpu-server-\d: the worker was ended by SIGKILL wh"):
            lost.result()
        assert not alive(int(barrier.read_text()))
        assert pool.submit(abs, -1).result() == 1
    assert not any(snapshot.environments for snapshot in on_hosts())
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "gpu-server-1: \\x1b[1mcall" in printed.err
    assert "gpu-server-2: from a shell" in printed.err


def test_workers_stay_between_calls_and_nothing_is_left_after_an_error_in_the_block(
    make_sandbox, tmp_path
):
    sandbox = make_sandbox("1", "1")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "data").write_text("content")

    def work(_):
        time.sleep(0.05)
        Path("new").touch()
        return (*where(), os.getcwd(), Path("data").read_text())

    def used(pool, found):
        list(pool.map(work, range(4)))
        until(lambda: len(pool.hosts) == 2, "a worker on each host")
        leases = [env.id for each in on_hosts() for env in each.environments]
        found |= set(pool.map(work, range(40)))
        assert len(found) == 2
        assert [env.id for each in on_hosts() for env in each.environments] == leases
        # One that is killed is replaced; its call is made again.
        _, victim, copy, _ = min(found)
        os.kill(victim, signal.SIGKILL)
        again = set(pool.map(work, range(10)))
        assert victim not in {pid for _, pid, _, _ in again}
        until(lambda: not os.path.exists(copy), "its copy of the project is gone")
        found |= again
        raise ZeroDivisionError

    found: set = set()
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        with (
            pytest.raises(ZeroDivisionError),
            fleet.executor(gpus=1, project=tmp_path / "project", retries=1) as pool,
        ):
            used(pool, found)
        assert not any(alive(pid) for _, pid, _, _ in found)
        assert not any(os.path.exists(directory) for *_, directory, _ in found)
        assert not any(each.environments for each in on_hosts())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_nothing_is_left_of_workers_whose_client_is_killed_or_falls_silent(
    make_sandbox, tmp_path, number
):
    sandbox = make_sandbox("2")
    script = tmp_path / "client.py"
    script.write_text(
        textwrap.dedent(f"""
            import os, subprocess, time
            from genvx.fleet.fleet import connect_fleet
            from genvx.fleet.hosts.hostfile import load

            def work(_):
                child = subprocess.Popen(["setsid", "sleep", "600"])
                print("child", child.pid, os.getcwd())
                time.sleep(600)

            fleet = connect_fleet(
                load({sandbox.hostfile!r}), config={sandbox.ssh_config!r}, host_lost_after=2
            )
            with fleet, fleet.executor(gpus=1, project={str(tmp_path / "project")!r}) as pool:
                list(pool.map(work, range(2)))
        """)
    )
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "data").write_text("content")
    with subprocess.Popen(
        [sys.executable, str(script)], env=genvx_env(), stderr=subprocess.PIPE, text=True
    ) as client:
        assert client.stderr is not None
        said = [client.stderr.readline().split() for _ in range(2)]
        children, copies = [int(each[-2]) for each in said], [each[-1] for each in said]
        assert all(map(alive, children))
        assert all(map(os.path.exists, copies))
        assert len(on_hosts()[0].environments) == 2
        client.send_signal(number)
        until(lambda: not any(map(alive, children)), "the children of the workers are gone")
        until(lambda: not on_hosts()[0].environments, "the GPUs are free")
        until(lambda: not any(map(os.path.exists, copies)), "the copies of the project are gone")
        client.kill()


# On this machine


def test_a_script_calls_its_own_functions_and_its_end_waits_for_them(state, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import os, genvx

            FACTOR = 3

            class Point:
                def __init__(self, x): self.x = x

            def work(point): return Point(point.x * FACTOR)

            pool = genvx.Fleet([genvx.LocalHost()]).executor(gpus=1)
            add = 4
            print(pool.submit(work, Point(2)).result().x, pool.submit(lambda: add + 1).result())
            pool.submit(work, Point(5)).add_done_callback(lambda done: print(done.result().x))
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)], env=genvx_env(), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("6 5\n15\n", "", 0)
    assert not LocalHost().snapshot().environments


def test_a_worker_keeps_its_process_and_its_device_between_calls(here):
    with here.executor(gpus=1, workers=1) as pool:
        assert len(set(pool.map(where, range(3)))) == 1
        assert list(pool.map(lambda a, b: a + b, range(7), range(7), chunksize=3)) == [
            *range(0, 14, 2)
        ]
        assert pool.submit(len, pickle.PickleBuffer(bytearray(1 << 20))).result() == 1 << 20
        assert pool.submit(bytes, 3 << 20).result() == bytes(3 << 20)


def test_a_call_that_waits_can_be_cancelled_and_one_that_runs_cannot(here, tmp_path):
    with here.executor(gpus=1, workers=1) as pool:
        running = pool.submit(wait, tmp_path / "barrier")
        until(running.running, "the call runs")
        waiting, last = pool.submit(abs, -1), pool.submit(abs, -2)
        assert not running.cancel()
        assert waiting.cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        (tmp_path / "barrier").touch()
        assert running.result(PATIENCE) is None
        assert concurrent.futures.wait([waiting, last], PATIENCE).not_done == set()
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(abs, -3)


def test_stop_ends_workers_with_all_that_they_have_started(here, tmp_path, nothing_left):
    pool = here.executor(gpus=1, workers=1)
    child = pool.submit(leave_behind).result()
    running = pool.submit(wait, tmp_path / "never")
    until(running.running, "the call runs")
    waiting = pool.submit(abs, -1)
    pool.stop()
    assert not alive(child)
    assert waiting.cancelled()
    with pytest.raises(WorkerDied, match="stopped"):
        running.result()
    assert not LocalHost().snapshot().environments


def test_what_a_function_leaves_behind_ends_with_the_executor(here):
    with here.executor(gpus=1) as pool:
        child = pool.submit(leave_behind).result()
        assert alive(child)
    assert not alive(child)


def test_a_call_is_made_again_whose_worker_has_died(here, tmp_path):
    def once():
        if not os.path.exists(tmp_path / "tried"):
            (tmp_path / "tried").touch()
            die()
        return "again"

    with here.executor(gpus=1, workers=1, retries=1) as pool:
        assert pool.submit(once).result() == "again"
        with pytest.raises(WorkerDied):
            pool.submit(die).result()


def test_what_does_not_travel_is_one_clear_error(here):
    def forks():
        if not os.fork():
            return "child"
        os.wait()
        return "parent"

    with here.executor(gpus=1, workers=1) as pool:
        for call, kind, text in [
            (lambda: pool.submit(len, threading.Lock()), InvalidInput, "len cannot be sent"),
            (lambda: pool.submit(lambda: (n for n in ())), InvalidInput, "cannot be sent back"),
            (lambda: pool.submit(raise_odd), CallFailed, "raise_odd on here raised Odd: 12"),
            (lambda: pool.submit(sys.exit, 3), CallFailed, "raised SystemExit: 3"),
        ]:
            with pytest.raises(kind, match=text):
                call().result()
        # A forked child that comes back answers nothing.
        assert [pool.submit(forks).result() for _ in range(2)] == ["parent"] * 2


def test_a_module_that_a_worker_does_not_have_is_named(here, tmp_path, monkeypatch):
    module = type(sys)("only_here")
    exec("def work(): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    missing = "here has no module 'only_here', which work needs"
    with here.executor(gpus=1) as pool, pytest.raises(InvalidInput, match=missing):
        pool.submit(module.work).result()
    (tmp_path / "only_here.py").write_text("def work(): return 'there'")
    with here.executor(gpus=1, cwd=str(tmp_path)) as pool:
        assert pool.submit(module.work).result() == "there"


def test_workers_have_a_copy_of_the_project_as_it_was(here, tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / "package").mkdir(parents=True)
    (project / "package" / "__init__.py").write_text("from package.part import work\n")
    (project / "package" / "part.py").write_text(
        "import os\n"
        "def work(): return open('data').read(), os.access('tool', os.X_OK), os.getcwd()\n"
    )
    (project / "data").write_text("as it was")
    (project / "tool").write_text("#!/bin/sh\n")
    (project / "tool").chmod(0o755)
    (project / "link").symlink_to("data")
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.delitem(sys.modules, "package", raising=False)
    from package import work

    sent, pieces = [], Parcel.pieces
    monkeypatch.setattr(Parcel, "pieces", lambda self: sent.append(self.about) or pieces(self))
    with here.executor(gpus=1, project=project) as pool:
        (project / "data").write_text("as it is")
        first, second = pool.submit(wait, tmp_path / "barrier"), pool.submit(work)
        until(lambda: len(pool.hosts) == 2, "a second worker")
        assert len(sent) == 1, "the host has got it once"
        content, executable, place = second.result()
        assert (content, executable) == ("as it was", True)
        assert Path(place, "link").read_text() == "as it was"
        (tmp_path / "barrier").touch()
        first.result()
        left = {pool.submit(os.getcwd).result() for _ in range(2)}
        pool.submit(die).exception()
        assert pool.submit(work).result()[0] == "as it was"
    with here.executor(gpus=1, project=project, cwd="package") as pool:
        assert os.path.basename(pool.submit(os.getcwd).result()) == "package"
        left.add(pool.submit(os.getcwd).result().removesuffix("/package"))
    assert not any(map(os.path.exists, left))
    assert not [name for name in os.listdir(tempfile.gettempdir()) if sent[0]["token"] in name]
    with pytest.raises(InvalidInput, match="no directory nowhere"):
        here.executor(gpus=1, project=project, cwd="nowhere")


def test_each_worker_is_prepared_first(here):
    def prepare(value):
        sys.prepared = value

    with here.executor(gpus=1, initializer=prepare, initargs=(7,)) as pool:
        assert pool.submit(lambda: sys.prepared).result() == 7
    with (
        here.executor(gpus=1, initializer=raise_odd) as pool,
        pytest.raises(CallFailed, match="Odd: 12"),
    ):
        pool.submit(abs, 1).result()


def test_nothing_of_a_host_is_unpickled_where_results_are_json(here):
    class Trap:
        def __reduce__(self):
            return os._exit, (1,)

    def raise_trap():
        raise ValueError(Trap())

    with here.executor(gpus=1, results="json") as pool:
        assert pool.submit(lambda: {"loss": 0.5}).result() == {"loss": 0.5}
        with pytest.raises(CallFailed, match="raise_trap on here raised ValueError"):
            pool.submit(raise_trap).result()
        with pytest.raises(InvalidInput, match="not JSON serializable"):
            pool.submit(Trap).result()


def test_a_host_with_another_version_of_python_is_refused_before_anything_is_sent(here, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.9\n")
    python.chmod(0o700)
    ours = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(AgentError) as caught:
        here.executor(gpus=1, python=str(python))
    assert f"here has Python 3.9 ({python}); this program runs on Python {ours}" in str(
        caught.value
    )
    assert "python=PATH" in str(caught.value)
    assert not LocalHost().snapshot().environments


@pytest.mark.parametrize(
    "bad",
    [
        {"workers": 0},
        {"retries": -1},
        {"results": "yaml"},
        {"python": ""},
        {"env": {"A=": "1"}},
        {"cwd": "/nowhere/at/all"},
        {"wait": -1},
        {"initializer": 3},
    ],
)
def test_bad_arguments_are_refused(here, bad):
    with pytest.raises(InvalidInput):
        here.executor(gpus=1, **bad)
    assert not LocalHost().snapshot().environments


def test_an_executor_without_room_is_refused_or_waits(here):
    with here.activate(gpus=2) as hold:
        with pytest.raises(NoCapacity):
            here.executor(gpus=1)
        threading.Timer(0.3, hold.release).start()
        with here.executor(gpus=1, wait=PATIENCE) as pool:
            assert pool.submit(abs, -1).result() == 1


def test_a_fake_host_says_that_it_runs_no_workers():
    with pytest.raises(InvalidInput, match="a is a fake host, which runs no workers"):
        Fleet([FakeHost("a")]).executor(gpus=1)


def test_coroutines_await_calls_and_an_error_ends_the_workers(here, tmp_path):
    async def main():
        fleet = genvx.aio.Fleet(here)
        async with fleet.executor(gpus=1) as pool:
            assert await asyncio.gather(*(pool.submit(abs, -n) for n in range(3))) == [0, 1, 2]
            assert [each async for each in pool.map(abs, range(-5, 0), chunksize=2)] == [
                5, 4, 3, 2, 1,
            ]  # fmt: skip
            with pytest.raises(ZeroDivisionError):
                await pool.submit(lambda: 1 / 0)
        with pytest.raises(asyncio.TimeoutError):
            async with fleet.executor(gpus=1) as pool:
                await asyncio.wait_for(pool.submit(wait, tmp_path / "never"), 0.2)

    asyncio.run(main())
    assert not LocalHost().snapshot().environments
