"""Many clients at the same moment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import run_genvx
from tests.helpers import end, start_genvx, until

pytestmark = pytest.mark.needs("openssh")


@pytest.mark.timeout(300)
def test_twenty_clients_for_three_gpus_are_three_shells_and_seventeen_refusals(sandbox):
    """Each wants one GPU of two hosts with three; nobody waits, nothing is left behind."""
    clients = [
        start_genvx("remote", "-t", "180", "activate", "--gpus", "1", stdin=subprocess.PIPE)
        for _ in range(20)
    ]
    for client in clients:
        # What a person would type; the shell stays, because its input does.
        client.stdin.write("echo $CUDA_VISIBLE_DEVICES\n")
        client.stdin.flush()

    def ended():
        return [client for client in clients if client.poll() is not None]

    try:
        until(lambda: len(ended()) >= 17, "seventeen refusals", patience=200)
        winners = [client for client in clients if client not in ended()]
        devices = [client.stdout.readline().strip() for client in winners]
        assert len(winners) == 3
        assert len(set(devices)) == 3
        assert all(device.startswith("SIM-") for device in devices)
        for loser in ended():
            assert loser.returncode == 3
            out, error = loser.communicate()
            assert out == ""
            assert error.startswith("Cannot find a host with enough available resources\n")
        for winner in winners:
            winner.communicate("exit 0\n")
            assert winner.returncode == 0
    finally:
        for client in clients:
            if client.returncode is None:
                end(client)
    answer = run_genvx("remote", "envs", "--json")
    assert [host["environments"] for host in json.loads(answer.stdout)["hosts"]] == [[], []]
    for host in sandbox.hosts:
        assert list(Path(host.state).rglob("*.lease")) == []
