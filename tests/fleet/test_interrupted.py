"""Ctrl-C while a program speaks with a host: what it does next over the same connection works."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time

import pytest

from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.sandbox import sandbox as rooms
from tests.helpers import end_all_of, held_on_hosts, until

pytestmark = pytest.mark.needs("openssh")

PATIENCE = 20.0


class Pressed(threading.Event):
    """Takes the place of the event that says whether a connection may send.

    paramiko asks it with the lock in its hands that all who send need; there Ctrl-C is pressed, at
    the n-th message.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.set()
        self.left = n

    def is_set(self) -> bool:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGINT)
        return super().is_set()


@pytest.fixture(scope="module")
def directory(agent_cache):
    directory = f"/var/tmp/genvx-test-{os.getpid()}-{secrets.token_hex(4)}"
    rooms.up(directory, ["1"], server="openssh")
    shutil.copytree(agent_cache, f"{directory}/cache")
    yield directory
    end_all_of(directory)
    rooms.down(directory)
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fleet(directory, monkeypatch):
    monkeypatch.setenv("GENVX_HOSTFILE", f"{directory}/hostfile")
    with connect_fleet(load(f"{directory}/hostfile"), config=f"{directory}/ssh_config") as fleet:
        yield fleet


@pytest.fixture
def run(fleet):
    """A run that nothing ends but SIGKILL."""
    run = fleet.run("trap '' TERM; while true; do sleep 1000; done", gpus=0, detach=True)
    yield run
    run.stop(force=True)


def interrupt_everywhere(fleet, act) -> None:
    """Press Ctrl-C at each message that `act` sends, one at a time; ask the host after each."""
    fleet.snapshot()
    (link,) = fleet.hosts[0].connections.open
    n = 0
    while True:
        n += 1
        pressed = link.transport.clear_to_send = Pressed(n)
        with contextlib.suppress(KeyboardInterrupt):
            act()
            if pressed.left <= 0:
                time.sleep(PATIENCE)  # Ctrl-C is on its way
        left, pressed.left = pressed.left, -1
        if left > 0:
            break
        assert answers(fleet), f"it hangs after the {n}. message"
        assert fleet.hosts[0].connections.open == (link,)
    assert n > 3, "nothing was interrupted"


def answers(fleet) -> bool:
    """Whether the host still answers us."""
    answered = []
    thread = threading.Thread(
        target=lambda: answered.append(fleet.hosts[0].free_port()), daemon=True
    )
    thread.start()
    thread.join(PATIENCE)
    return bool(answered)


def test_while_it_waits_for_a_run(fleet, run):
    def wait():
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)

    interrupt_everywhere(fleet, wait)


def test_while_it_stops_a_run(fleet, run):
    interrupt_everywhere(fleet, lambda: run.stop(grace=1000, wait=False))


def test_while_it_opens_a_tunnel(fleet, run):
    def tunnel():
        with run.tunnel(9):
            pass

    interrupt_everywhere(fleet, tunnel)


def test_while_it_runs_a_command_that_holds_a_gpu(fleet):
    def hold():
        assert fleet.run("true", gpus=1).returncode == 0

    interrupt_everywhere(fleet, hold)
    until(lambda: held_on_hosts() == [])
