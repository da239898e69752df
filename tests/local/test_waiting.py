"""Waiting on this machine, with real processes and real locks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from genvx.core.line.queue import line
from genvx.core.line.ticket import PATIENCE_NS
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.local.host import LocalHost
from tests.conftest import run_genvx, until

GIB = 1 << 30

_WAITER = """
import sys
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
hold = LocalHost().wait(Ask(Requirements(int(sys.argv[1])), name=sys.argv[2]))
print(*(device.index for device in hold.grant.devices), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host(state):
    found = LocalHost()
    yield found
    found.close()


@pytest.fixture
def waiter(state):
    """Starts processes that wait for devices, print them, and hold them until stdin is closed."""
    started = []

    def start(gpus, name):
        process = subprocess.Popen(
            [sys.executable, "-c", _WAITER, str(gpus), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def names(host):
    return [turn.ticket.name for turn in line(host.snapshot())]


def queued(host, *wanted):
    until(lambda: names(host) == list(wanted), f"{wanted} wait")


def test_whoever_waits_gets_what_becomes_free(host, waiter):
    hold = host.acquire(Ask(Requirements(2)))
    process = waiter(2, "next")
    queued(host, "next")
    hold.release()
    assert process.stdout.readline() == "0 1\n"
    queued(host)


def test_those_who_wait_are_served_in_the_order_in_which_they_came(host, waiter):
    hold = host.acquire(Ask(Requirements(2)))
    processes = []
    for number in range(3):
        processes.append(waiter(2, str(number)))
        queued(host, *map(str, range(number + 1)))
    hold.release()
    for number, process in enumerate(processes):
        assert process.stdout.readline() == "0 1\n"
        assert names(host) == [str(n) for n in range(number + 1, 3)]
        process.stdin.close()


def test_whoever_does_not_wait_does_not_overtake(host, waiter):
    with host.acquire(Ask(Requirements(1))):
        waiter(2, "first")
        queued(host, "first")
        with pytest.raises(NoCapacity, match=r"GPUs? .*: kept for .*, who waits"):
            host.acquire(Ask(Requirements(1)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_waiter_that_is_killed_leaves_no_ticket(host, waiter, state, number):
    with host.acquire(Ask(Requirements(2))):
        process = waiter(1, "doomed")
        queued(host, "doomed")
        process.send_signal(number)
        process.wait()
        assert names(host) == []
        until(lambda: not list(state.rglob("*.ticket")), "its file is gone")


def test_a_waiter_that_is_stopped_is_passed_over_after_a_while(host, waiter, monkeypatch):
    """And it is not forgotten: it has its place again when it goes on."""
    hold = host.acquire(Ask(Requirements(2)))
    process = waiter(1, "stopped")
    queued(host, "stopped")
    process.send_signal(signal.SIGSTOP)
    now = time.clock_gettime_ns
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: now(clock) + PATIENCE_NS)
    assert names(host) == []
    hold.release()
    host.acquire(Ask(Requirements(2))).release()
    process.send_signal(signal.SIGCONT)
    assert process.stdout.readline() == "0\n"


def test_the_time_to_wait_ends_with_an_error_and_no_ticket(host, state):
    with host.acquire(Ask(Requirements(2))):
        with pytest.raises(WaitedTooLong, match=r"2 GPUs not free within 0\.01 s: 0 of 2"):
            host.wait(Ask(Requirements(2), patience=0.01))
        assert list(state.rglob("*.ticket")) == []


def test_what_can_never_be_had_is_not_waited_for(host):
    with pytest.raises(Unsatisfiable, match="3 GPUs wanted, but this host has 2 at most"):
        host.wait(Ask(Requirements(3)))


def test_what_is_free_is_not_waited_for(host):
    told = []
    with host.wait(Ask(Requirements(2)), tell=told.append):
        assert told == []


def test_another_thread_can_end_the_waiting(host, state):
    stop = threading.Event()
    with host.acquire(Ask(Requirements(2))), pytest.raises(WaitedTooLong, match="was ended"):
        host.wait(Ask(Requirements(1)), tell=lambda standing: stop.set(), stop=stop)
    assert list(state.rglob("*.ticket")) == []


def test_a_ticket_that_somebody_deletes_ends_the_waiting(host, state):
    def delete(standing):
        for path in state.rglob("*.ticket"):
            path.unlink()

    with host.acquire(Ask(Requirements(2))), pytest.raises(NoCapacity, match="the ticket is gone"):
        host.wait(Ask(Requirements(1)), tell=delete)


def test_a_share_is_waited_for_too(host):
    stop = threading.Event()
    told = []

    def tell(standing):
        told.append(standing.reason)
        stop.set()

    with (
        host.acquire(Ask(Requirements(2, 50 * GIB))),
        pytest.raises(WaitedTooLong),
    ):
        host.wait(Ask(Requirements(1, 40 * GIB)), tell=tell, stop=stop)
    assert told == ["0 of 1 available"]


@pytest.mark.needs("uids")
def test_another_users_ticket_counts_and_cannot_be_forged(world, shared_state, monkeypatch):
    monkeypatch.setenv("GENVX_STATE_DIR", str(shared_state))
    monkeypatch.setenv("GENVX_SIMULATE", "1xA100-80GB")
    host = LocalHost()
    forged = shared_state / "leases" / "4242"
    forged.mkdir(mode=0o755)
    (forged / "00ff00ff00ff00ff.ticket").write_text("{}")
    assert host.snapshot().tickets == ()
    host.close()


# The command line


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "genvx", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_run_waits_says_how_it_stands_and_runs(host):
    hold = host.acquire(Ask(Requirements(1)))
    process = start("run", "-g", "2", "--wait", "--", "printenv", "GENVX_DEVICES")
    assert process.stderr.readline() == (
        "genvx: waiting for 2 GPUs: 1st in line; 1 of 2 available\n"
    )
    hold.release()
    out, err = process.communicate()
    assert (out, err, process.returncode) == ("0,1\n", "", 0)


def test_waiting_too_long_is_124(host):
    with host.acquire(Ask(Requirements(1))):
        answer = run_genvx("run", "-g", "2", "--wait=0.1s", "--", "true")
    assert answer.returncode == 124
    assert answer.stderr.splitlines()[-1] == (
        "genvx: 2 GPUs not free within 0.1 s: 1 of 2 available"
    )


def test_ctrl_c_ends_the_waiting_with_130_and_no_ticket(host, state):
    with host.acquire(Ask(Requirements(2))):
        process = start("activate", "-g", "1", "--wait")
        queued(host, "")
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert process.returncode == 130
        assert list(state.rglob("*.ticket")) == []


def test_wait_without_a_time_does_not_take_the_command_for_one(state):
    answer = run_genvx("run", "--wait", "-g", "1", "echo", "--wait", "x")
    assert (answer.stdout, answer.returncode) == ("--wait x\n", 0)


@pytest.mark.parametrize("spelled", [("--wait", "0:00:01"), ("--wait=1s",)])
def test_a_time_may_stand_behind_wait(state, spelled):
    answer = run_genvx("run", *spelled, "-g", "1", "echo", "ran")
    assert (answer.stdout, answer.stderr, answer.returncode) == ("ran\n", "", 0)


@pytest.mark.parametrize("wrong", ["soon", "-1", "0", ""])
def test_a_time_that_is_none_is_refused(state, wrong):
    answer = run_genvx("run", "-g", "1", f"--wait={wrong}", "--", "true")
    assert answer.returncode == 2
    assert re.match("genvx: --wait: (not a duration|a duration is more than 0)", answer.stderr)


def test_queue_shows_who_waits_for_what_and_why(host, waiter):
    with host.acquire(Ask(Requirements(1), name="busy")):
        waiter(2, "first")
        queued(host, "first")
        waiter(1, "second")
        queued(host, "first", "second")
        rows = run_genvx("queue", "--csv").stdout.splitlines()
        assert rows[0] == "ID,USER,NAME,REQUEST,WAITING,REASON"
        cells = [row.split(",", 5) for row in rows[1:]]
        assert [(c[2], c[3], c[5].strip('"')) for c in cells] == [
            ("first", "2 GPUs", "1 of 2 available"),
            ("second", "1 GPU", "0 of 1 available, behind others"),
        ]


def test_explain_says_what_would_be_taken_and_why_not_the_others(host):
    with host.acquire(Ask(Requirements(1), name="busy")):
        answer = run_genvx("explain", "-g", "1", "--csv")
        assert answer.stdout.splitlines()[2] == "1,A100-80GB (simulated),would be taken"
        assert "is leased by" in answer.stdout.splitlines()[1]
        assert run_genvx("explain", "-g", "2").returncode == 3
        assert run_genvx("explain", "-g", "3").returncode == 2
        assert run_genvx("explain", "-g", "H100").returncode == 2
        nothing = run_genvx("explain")
        assert (nothing.returncode, nothing.stderr[:25]) == (2, "genvx: nothing to explain")


def test_a_device_that_is_not_there_is_said_to_be_none(host):
    with pytest.raises(Unsatisfiable) as caught:
        host.acquire(Ask(Requirements.parse(devices=["0,9"])))
    assert str(caught.value) == "GPUs 0, 9 wanted, but this host can offer only 1 of these"
    with pytest.raises(Unsatisfiable, match="GPU 9 wanted, but this host cannot offer it"):
        host.acquire(Ask(Requirements.parse(devices=["9"])))
