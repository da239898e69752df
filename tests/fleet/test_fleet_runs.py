"""Runs of a fleet as a program has them; the hosts are fake but for those that are cut off."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import (
    FleetError,
    HostUnreachable,
    InvalidInput,
    InvalidQuantity,
    NoCapacity,
    UnknownRun,
)
from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.local import processes
from genvx.testing import FakeHost, Played
from tests.helpers import until

GOES_ON = Played(code=None)
GONE = HostUnreachable("gone")


def fake(name, devices=1, played=GOES_ON, **more):
    return FakeHost(name, devices, script=lambda spec: played, **more)


def test_a_run_starts_on_the_best_host_and_is_found_among_all():
    a, b = fake("a", 1), fake("b", 2)
    with Fleet([a, b]) as fleet:
        first = fleet.run(["train"], gpus=2, name="big", detach=True)
        second = fleet.run("train.sh", gpus=1, tags=["base"], detach=True)
        assert (first.host, second.host) == (b, a)
        assert second.info.spec.argv == ("sh", "-c", "train.sh")
        assert fleet.runs() == [second, first]
        assert fleet.runs(state="running", tags="base") == [second]
        assert fleet.find_run("big") == fleet.find_run(2) == first
        assert fleet.find_run() == second
        with pytest.raises(NoCapacity) as caught:
            fleet.run("more", gpus=1, detach=True)
        assert list(caught.value.reasons) == ["a", "b"]


def test_a_run_that_may_wait_starts_where_there_is_room_although_another_was_faster():
    class Raced(FakeHost):
        def submit(self, spec, *, patience=None, tags=()):
            if patience is None:
                raise NoCapacity("taken meanwhile")
            return super().submit(spec, patience=patience, tags=tags)

    raced, other = Raced("a", 1, script=lambda spec: GOES_ON), fake("b", 2)
    with Fleet([raced, other]) as fleet:
        assert fleet.run("train", gpus=1, wait=60, detach=True).host == other
        other.acquire(Ask(Requirements(1)))
        assert fleet.run("train", gpus=1, wait=60, detach=True).host == raced


def test_a_list_of_runs_has_the_hosts_that_failed():
    good = fake("good")
    with Fleet([good, FakeHost("bad", error=GONE)]) as fleet:
        run = fleet.run("train", detach=True)
        found = fleet.runs()
        assert (found, found.failed) == ([run], {"bad": GONE})
        with pytest.raises(UnknownRun, match="did not answer"):
            fleet.find_run("nope")
    with pytest.raises(FleetError, match="No host answered"):
        Fleet([FakeHost("bad", error=GONE)]).runs()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gpus": -1}, "0"),
        ({"hold_when": "never"}, "'always' or 'on-failure'"),
        ({"hold": float("nan")}, "hold is a number of seconds"),
        ({"time": float("inf")}, "time is a number of seconds"),
        ({"wait": -1}, "a time to wait"),
        ({"retries": -1}, "from 0 to 1000"),
        ({"tags": ["a,b"]}, "without a comma"),
        ({"env": {"A-B": "c"}}, "not the name of a variable"),
        ({"cwd": "x" * 5000}, "impossible cwd"),
        ({"cwd": "a\0b"}, "NUL"),
        ({"name": "a\nb"}, "printable"),
        ({"nodes": 2}, "nodes does not go with detach"),
    ],
    ids=lambda each: None if isinstance(each, str) else "-".join(each),
)
def test_a_bad_request_for_a_run_asks_no_host(options, says):
    host = FakeHost("a", error=AssertionError("asked"))
    with pytest.raises((InvalidInput, InvalidQuantity), match=says):
        Fleet([host]).run("train", detach=True, **options)


@pytest.mark.parametrize(
    "ask",
    [
        lambda fleet, run: fleet.runs(state="asleep"),
        lambda fleet, run: fleet.runs(since=-1),
        lambda fleet, run: fleet.runs(most=0),
        lambda fleet, run: fleet.find_run("x" * 200),
        lambda fleet, run: run.follow(lines=-1),
        lambda fleet, run: run.log(lines=1.5),
        lambda fleet, run: run.stop(grace=-1),
        lambda fleet, run: run.wait(timeout=float("nan")),
        lambda fleet, run: run.exec([]),
        lambda fleet, run: run.exec("x", env={"A-B": ""}),
    ],
)
def test_a_bad_question_about_runs_asks_no_host(ask):
    host = fake("a")
    fleet = Fleet([host])
    run = fleet.run("train", detach=True)
    host.error = AssertionError("asked")
    with pytest.raises(InvalidInput):
        ask(fleet, run)


def test_an_attached_command_of_a_fleet_gives_its_devices_back():
    host = FakeHost("a", 2)
    done = Fleet([host]).run(["train"], gpus=2, capture_output=True)
    assert (done.returncode, done.stdout, host.commands) == (0, b"", [["train"]])
    assert len(host.snapshot().available) == 2


def test_a_test_of_a_program_has_runs_write_fail_and_be_lost():
    host = FakeHost("a", 2, script=lambda spec: Played(b"epoch 1\n", None))
    fleet = Fleet([host])
    run, other = (fleet.run("train", 1, retries=1, detach=True) for _ in range(2))
    host.runs.write(run.id, b"epoch 2\n")
    assert run.log() == b"epoch 1\nepoch 2\n"
    host.runs.end(run.id, 9)
    assert (run.state, run.info.state.attempt) == ("running", 2)
    host.runs.end(run.id, 9)
    assert (run.wait(), run.state) == (9, "failed")
    host.runs.lose(other.id)
    assert (other.wait(), other.returncode, other.state) == (None, None, "lost")
    with pytest.raises(InvalidInput, match="is lost"):
        host.runs.end(other.id)


def test_following_can_be_stopped_and_long_lines_come_in_parts():
    host = fake("a", played=Played(b"x" * (3 << 20) + b"\nend", None))
    run = Fleet([host]).run("train", detach=True)
    stop = threading.Event()
    lines = []
    for line in run.follow(stop=stop):
        lines.append(line)
        if b"\n" in line:
            stop.set()
    assert b"".join(lines) == b"x" * (3 << 20) + b"\nend"
    assert (run.state, list(run.follow(lines=0, stop=stop))) == ("running", [])


def test_following_goes_on_when_the_host_answers_again(monkeypatch):
    monkeypatch.setattr("genvx.fleet.detaching.runs._PAUSE", 0.01)
    host = fake("a")
    run = Fleet([host]).run("train", detach=True)
    host.runs.write(run.id, b"1\n")
    lines = run.follow()
    assert next(lines) == b"1\n"
    host.error = HostUnreachable("cut")
    host.runs.write(run.id, b"2\n")
    host.runs.end(run.id, 3)
    timer = threading.Timer(0.1, lambda: setattr(host, "error", None))
    timer.start()
    assert list(lines) == [b"2\n"]
    assert run.wait() == 3
    timer.join()


def _kill_connections(sandbox):
    """Kill what serves the connections to the hosts of a sandbox; return how many there were."""
    listeners = [pid for pid in processes.pids() if sandbox.directory.encode() in _command(pid)]
    serving = [
        pid for pid in processes.pids() if _parent(pid) in listeners and b"sshd" in _command(pid)
    ]
    for pid in serving:
        os.kill(pid, signal.SIGKILL)
    return len(serving)


def _command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _parent(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None


@pytest.mark.needs("openssh")
def test_lines_and_the_end_come_through_connections_that_are_cut(sandbox, short_tmp):
    go = short_tmp / "go"
    line = f"seq 50; until [ -e {go} ]; do sleep 0.01; done; seq 51 100; exit 4"
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        run = fleet.run(line, gpus=1, detach=True)
        lines = run.follow()
        got = [next(lines) for _ in range(50)]
        assert _kill_connections(sandbox)
        codes = []
        waiting = threading.Thread(target=lambda: codes.append(run.wait()))
        waiting.start()
        go.touch()
        got += lines
        assert got == [b"%d\n" % number for number in range(1, 101)]
        waiting.join()
        assert codes == [4]
        until(lambda: fleet.runs("failed") == [run], "it is over")
