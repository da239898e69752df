"""The library on this machine: activate and what one does inside of it, with asyncio too."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess

import pytest

import genvx
from genvx.local.host import LocalHost


@pytest.fixture(autouse=True)
def _machine(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "4xA100-80GB")
    monkeypatch.delenv("GENVX_ENVIRONMENT_ID", raising=False)


def held():
    return [len(env.devices) for env in LocalHost().snapshot().environments]


def visible():
    return os.environ["CUDA_VISIBLE_DEVICES"].split(",")


def test_inside_of_a_block_the_environment_is_active_and_current():
    assert not genvx.active()
    with genvx.activate(1, name="x") as env:
        assert genvx.active()
        assert genvx.current().environment_id == env.grant.environment_id
        assert (genvx.current().name, genvx.current().devices) == ("x", env.devices)
    assert not genvx.active()


def test_current_outside_of_an_environment_is_an_error():
    with pytest.raises(genvx.UnknownEnvironment, match="runs in no environment"):
        genvx.current()


def test_an_environment_that_has_ended_is_not_active(monkeypatch):
    monkeypatch.setenv("GENVX_ENVIRONMENT_ID", "abcd1234")
    assert not genvx.active()


def test_attach_and_detach_change_what_this_process_sees():
    with genvx.activate(1):
        assert len(genvx.attach(2).devices) == 3
        assert (held(), len(visible())) == ([3], 3)
        first = genvx.current().devices[0]
        left = genvx.detach([first.label])
        assert first not in left.devices
        assert (held(), len(visible())) == ([2], 2)
        assert genvx.detach().devices == ()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_an_activation_grows_and_shrinks():
    with genvx.activate(1) as env:
        env.attach(devices=["3"])
        assert [device.index for device in env.devices] == [0, 3]
        env.detach(["0"])
        assert [device.index for device in env.devices] == [3]
    assert held() == []


def test_lock_is_one_block_at_a_time():
    with genvx.activate(1):
        with genvx.lock(), pytest.raises(genvx.WaitedTooLong), genvx.lock(timeout=0.1):
            pass
        with genvx.lock(timeout=5):
            pass


def test_a_program_that_does_it_again_and_again_keeps_nothing_open():
    def all_of_it():
        with genvx.activate(1):
            genvx.attach(1)
            with genvx.lock():
                held()
            genvx.detach()
            assert genvx.active()

    def descriptors():
        return sorted(os.listdir("/proc/self/fd"))

    all_of_it()
    gc.disable()  # whoever makes few objects waits long for the collector
    try:
        before = descriptors()
        for _ in range(3):
            all_of_it()
        assert descriptors() == before
    finally:
        gc.enable()


def test_configure_writes_what_activate_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert genvx.configure(gpus=2, gpu_memory="40G") == {"gpus": "2", "gpu-memory": "40G"}
    assert genvx.configure(gpus=None) == {"gpu-memory": "40G"}
    with pytest.raises(genvx.InvalidInput, match="did you mean gpus"):
        genvx.configure(gpu=1)
    assert (tmp_path / ".genvx.toml").read_text() == 'gpu-memory = "40G"\n'


# asyncio


def test_asyncio_has_the_same():
    async def work():
        assert not await genvx.aio.active()
        async with genvx.aio.activate(1) as env:
            assert await genvx.aio.active()
            assert (await genvx.aio.current()).devices == env.devices
            await env.attach(1)
            assert len(env.devices) == len(visible()) == 2
            await genvx.aio.detach()
            assert held() == [0]
            await genvx.aio.attach(2)
            async with genvx.aio.lock():
                with pytest.raises(genvx.WaitedTooLong):
                    async with genvx.aio.lock(timeout=0.1):
                        pass

    asyncio.run(work())
    assert held() == []


def test_asyncio_runs_commands_on_the_devices():
    async def work():
        async with genvx.aio.activate(2) as env:
            assert (await env.run('[ "$GENVX_DEVICES" = 0,1 ]')).returncode == 0
            assert (await env.run(["sh", "-c", "exit 4"])).returncode == 4
            assert (await env.run(["cat"], input=b"x", capture_output=True)).stdout == b"x"
            with pytest.raises(subprocess.CalledProcessError):
                await env.run("exit 4", check=True)
            with pytest.raises(genvx.InvalidInput):
                await env.run(["no such command"])

    asyncio.run(work())


def test_the_loop_goes_on_while_somebody_waits_and_cancelling_leaves_nothing():
    async def work():
        with genvx.activate(4):
            waiting = asyncio.ensure_future(_enter(genvx.aio.activate(1, wait=60)))
            while not LocalHost().snapshot().tickets:
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert LocalHost().snapshot().tickets == ()
            assert held() == [4]

    asyncio.run(work())
    assert held() == []


def test_a_command_that_is_cancelled_is_killed(tmp_path):
    async def work():
        async with genvx.aio.activate(1) as env:
            running = asyncio.ensure_future(env.run(f"touch {tmp_path}/there; exec sleep 600"))
            while not (tmp_path / "there").exists():
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    asyncio.run(work())
    assert held() == []


def test_cancelling_does_not_wait_for_what_the_command_left_behind(tmp_path):
    pid = tmp_path / "pid"

    async def work():
        async with genvx.aio.activate(1) as env:
            line = f"sleep 600 & echo $! >{pid}; wait"
            running = asyncio.ensure_future(env.run(line, capture_output=True))
            while not pid.exists() or not pid.read_text():
                await asyncio.sleep(0.01)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

    try:
        asyncio.run(work())
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def _enter(context):
    async with context:
        raise AssertionError("there is no room")


@pytest.mark.parametrize("wrong", [{"time": "10m"}, {"time": -1}, {"wait": "1h"}, {"time": True}])
def test_a_time_that_is_no_number_of_seconds_is_refused(state, wrong):
    with pytest.raises(genvx.InvalidInput, match="number of seconds"):
        genvx.activate(0, **wrong)
