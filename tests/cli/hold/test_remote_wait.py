"""Waiting on pretend hosts over real SSH."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genvx.core.line.queue import line
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from tests.conftest import run_genvx
from tests.helpers import on_hosts, parent_of, until

pytestmark = pytest.mark.needs("openssh")


@pytest.fixture
def fleet(make_sandbox):
    """Two hosts with one GPU each, which are held by `busy`."""
    with connect_fleet(load(make_sandbox("1", "1").hostfile)) as found:
        yield found


@pytest.fixture
def busy(fleet):
    held = {host.name: host.acquire(Ask(Requirements(1), name="busy")) for host in fleet.hosts}
    yield held
    for hold in held.values():
        hold.release()


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "genvx", "remote", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def tickets():
    return [len(line(snapshot)) for snapshot in on_hosts()]


def test_run_waits_in_both_lines_and_runs_where_room_comes_first(fleet, busy):
    process = start("run", "-g", "1", "--wait", "--name", "mine", "--", "hostname")
    until(lambda: tickets() == [1, 1], "it waits on both")
    busy["gpu-server-2"].release()
    out, err = process.communicate()
    assert process.returncode == 0
    assert out == subprocess.run(["hostname"], capture_output=True, text=True).stdout
    assert "waiting for 1 GPU: 1st in line on gpu-server-" in err
    until(lambda: tickets() == [0, 0], "nobody waits any more")


def test_the_command_holds_its_devices_and_nothing_else_does(fleet, busy):
    process = start("run", "-g", "1", "--wait", "--name", "mine", "--", "sleep", "60")
    until(lambda: tickets() == [1, 1], "it waits on both")
    busy["gpu-server-1"].release()
    host = fleet.host("gpu-server-1")
    until(
        lambda: (
            [lease.command for lease in host.snapshot().leases] == ["sleep 60"]
            and not host.snapshot().tickets
        ),
        "the command alone holds it",
    )
    process.kill()
    process.communicate()
    until(lambda: not host.snapshot().leases, "all is free")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_client_that_ends_leaves_no_ticket(fleet, busy, number):
    process = start("run", "-g", "1", "--wait", "--", "true")
    until(lambda: tickets() == [1, 1], "it waits on both")
    process.send_signal(number)
    process.communicate()
    assert process.returncode in (130, -signal.SIGKILL)
    until(lambda: tickets() == [0, 0], "the tickets are gone")


def test_a_connection_that_is_cut_leaves_no_ticket(fleet, busy):
    process = start("run", "-g", "1", "--wait", "--", "true")
    until(lambda: tickets() == [1, 1], "it waits on both")
    with connect_fleet([host.spec for host in fleet.hosts]) as other:
        for host in other.hosts:
            pids = [turn.ticket.pid for turn in line(host.snapshot())]
            # The agent's parent is the sshd of that connection.
            for pid in pids:
                os.kill(parent_of(pid), signal.SIGKILL)
    until(lambda: tickets() == [0, 0], "the tickets are gone")
    _, err = process.communicate()
    assert process.returncode == 4
    assert "the connection ended while we waited" in err


def test_waiting_too_long_says_so_for_every_host(fleet, busy):
    answer = run_genvx("remote", "run", "-g", "1", "--wait=1s", "--", "true")
    assert answer.returncode == 124
    lines = answer.stderr.splitlines()
    assert "Cannot find a host with enough available resources" in lines
    assert "  gpu-server-1: 1 GPU not free within 1 s: 0 of 1 available" in lines


def test_what_is_offered_and_not_taken_goes_to_the_next(fleet, busy, monkeypatch):
    """A client that is stopped when its turn comes."""
    process = start("run", "-g", "1", "--wait", "--only-host", "gpu-server-1", "--", "true")
    until(lambda: tickets() == [1, 0], "it waits")
    process.send_signal(signal.SIGSTOP)
    host = fleet.host("gpu-server-1")
    busy["gpu-server-1"].release()
    until(lambda: [e.command for e in host.snapshot().environments] == ["true"], "it is granted")
    process.kill()
    process.communicate()
    until(lambda: not host.snapshot().environments, "it is given back")


def test_remote_queue_shows_a_request_that_waits_on_two_hosts_once(fleet, busy):
    process = start("run", "-g", "1", "--wait", "--name", "mine", "--", "true")
    until(lambda: tickets() == [1, 1], "it waits on both")
    rows = run_genvx("remote", "queue", "--csv", "--no-header").stdout.splitlines()
    cells = [row.split(",") for row in rows]
    assert [(c[0], c[3], c[4], c[6]) for c in cells] == [
        ("gpu-server-[1-2]", "mine", "1 GPU", "0 of 1 available")
    ]
    process.kill()
    process.communicate()


def test_hosts_can_be_chosen_by_name_and_tag(make_sandbox):
    hostfile = Path(make_sandbox("1", "1").hostfile)
    lines = hostfile.read_text().splitlines()
    lines = [f"{x} tags=a100,big" if x.startswith("gpu-server-1") else x for x in lines]
    hostfile.write_text("\n".join(lines))

    def hosts(*arguments):
        answer = run_genvx(
            "remote", "-f", str(hostfile), "explain", "-g", "1", "--csv", "--no-header", *arguments
        )
        return [row.split(",")[1] for row in answer.stdout.splitlines()] or answer.stderr.strip()

    assert hosts("--tag", "a100,big") == ["gpu-server-1"]
    assert hosts("--only-host", "*-2") == ["gpu-server-2"]
    assert hosts("--exclude-host", "gpu-server-1") == ["gpu-server-2"]
    assert hosts("--tag", "h100") == "genvx: none of the 2 hosts is selected with tag h100"
    assert (
        hosts("--only-host", "nobody")
        == "genvx: no host 'nobody' among the hosts gpu-server-1, gpu-server-2"
    )


def test_the_policy_of_each_host_is_shown_and_kept(make_sandbox):
    sandbox = make_sandbox("2", "2")
    assert run_genvx("remote", "devices").returncode == 0
    path = Path(sandbox.directory) / "gpu-server-1" / "state" / "policy.toml"
    path.write_text("[limits]\ngpus = x\n")
    answer = run_genvx("remote", "policy", "--csv", "--no-header")
    assert answer.returncode == 4
    assert "gpu-server-1: state:" in answer.stderr
    assert "policy.toml: Invalid value (at line 2" in answer.stderr
    assert [line.split(",")[0] for line in answer.stdout.splitlines()] == ["gpu-server-2"] * 2
    taken = run_genvx("remote", "run", "-g", "2", "--", "printenv", "GENVX_DEVICES")
    assert (taken.stdout, taken.returncode) == ("0,1\n", 0)


def test_time_ends_a_command_over_there(fleet):
    answer = run_genvx("remote", "-q", "run", "-g", "1", "--time", "1s", "--", "sleep", "60")
    assert answer.returncode == 128 + signal.SIGTERM
    assert answer.stderr.splitlines() == [
        "genvx: this environment ends in 1 s",
        "genvx: the time of this environment is over",
    ]
    until(lambda: tickets() == [0, 0], "nobody waits any more")


def test_a_request_by_model_and_size_is_understood_over_there(fleet):
    def run(*wanted):
        answer = run_genvx("remote", "run", *wanted, "--", "printenv", "GENVX_DEVICES")
        return answer.returncode, answer.stdout or answer.stderr

    assert run("-g", "h100,a100:40G..:1", "--min-memory", "80G") == (0, "0\n")
    assert run("--device", "0", "--spread") == (0, "0\n")
    assert run("-g", "H100:2") == (
        2,
        "genvx: 2 H100 GPUs wanted on one host, but none has any\n",
    )
    assert run("--device", "7")[0] == 2
