"""Runs of a fleet as a program has them; the hosts are fake but for those that are cut off."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.service import Service
from genvx.errors import (
    FleetError,
    HostUnreachable,
    InvalidInput,
    InvalidQuantity,
    NoCapacity,
    UnknownHost,
    UnknownRun,
)
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.detached import Request
from genvx.fleet.detaching.merged import merged
from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.testing import FakeHost, Played
from tests.helpers import children_of, command_line, processes_with, until

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


def test_runs_that_were_started_by_the_same_snapshots_do_not_all_wait_on_one_host():
    a, b = fake("a", 1), fake("b", 1)
    fleet = Fleet([a, b])
    seen = fleet.snapshot()
    specs = [Request("train", 1, wait=60).spec for _ in range(6)]
    hosts = [runs.submit(fleet, spec, seen, patience=60)[0].name for spec in specs]
    assert sorted(hosts) == ["a", "a", "a", "b", "b", "b"]


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
        ({"log_limit": 100}, "log_limit is a number of bytes, 65536 at least"),
        ({"log_limit": "1G"}, "log_limit is a number of bytes"),
        ({"debug_port": 2222}, "debug_port is a genvx.DebugPort, not 2222"),
        ({"service": 8000}, "service is a genvx.Service, not 8000"),
        ({"nodes": 2, "service": Service()}, "service does not go with nodes"),
        ({"env": {"A-B": "c"}}, "not the name of a variable"),
        ({"cwd": "x" * 5000}, "--chdir has at most 4096"),
        ({"cwd": "a\0b"}, "NUL"),
        ({"name": "a\nb"}, "printable"),
        ({"nodes": 0}, "nodes is a number of hosts, not 0"),
        ({"nodes": 2, "retries": 1}, "retries does not go with nodes"),
        ({"nodes": 2}, "needs hosts over SSH"),
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
    listeners = processes_with(sandbox.directory)
    serving = [pid for pid in children_of(*listeners) if b"sshd" in command_line(pid)]
    for pid in serving:
        os.kill(pid, signal.SIGKILL)
    return len(serving)


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


@pytest.fixture
def pair(make_sandbox):
    """A fleet of two hosts with two devices each; none of its runs lives on behind the test."""
    sandbox = make_sandbox("2", "2")
    with connect_fleet(load(sandbox.hostfile), config=sandbox.ssh_config) as fleet:
        yield fleet
        for run in fleet.runs():
            run.stop(force=True)


@pytest.mark.needs("openssh")
def test_a_run_on_several_hosts_is_one_run_and_ends_with_its_first_failure(pair, short_tmp):
    go = short_tmp / "go"
    line = (
        "echo $NODE_RANK; if [ $NODE_RANK = 1 ]; then"
        f" until [ -e {go} ]; do sleep 0.01; done; exit 7; fi; exec sleep 600"
    )
    run = pair.run(line, 2, name="train", tags=["t"], nodes=2, detach=True)
    assert (run.hosts, run.host, run.note) == (pair.hosts, pair.hosts[0], "")
    assert (run.state, run.returncode, pair.runs("running")) == ("running", None, [run])
    assert pair.find_run(1).hosts == pair.hosts
    assert next(run.follow()) == b"0\n"
    assert next(run.follow(node=1)) == b"1\n"
    with pytest.raises(InvalidInput, match="has no node 2"):
        run.log(node=2)
    go.touch()
    assert (run.wait(), run.log(node=1)) == (7, b"1\n")
    assert {(0, b"0\n"), (1, b"1\n")} <= set(run.follow_all())
    until(lambda: [part.spec.part.rank for part in run.parts] == [0, 1] and run.state == "failed")
    # The part that failed decides, also when a host was asked for others.
    until(lambda: pair.runs("failed") == [run] and pair.runs("stopped") == [])
    run.label("best")
    assert {part.label for part in run.parts} == {"best"}
    run.delete()
    assert (pair.runs(), pair.runs(deleted=True)) == ([], [run])


@pytest.mark.needs("openssh")
def test_a_run_that_waits_moves_to_the_host_of_its_fleet_that_has_room(pair):
    blockers = [pair.run("exec sleep 600", 2, detach=True) for _ in pair.hosts]
    run = pair.run("echo moved", 2, wait=600, detach=True)
    (elsewhere,) = (each for each in blockers if each.host != run.host)
    with pytest.raises(NoCapacity, match="it waits on"):
        run.move()
    with pytest.raises(UnknownHost, match="no host 'nowhere'"):
        run.move("nowhere")
    elsewhere.stop(force=True)
    run.move()
    assert (run.host, run.wait(), run.log()) == (elsewhere.host, 0, b"moved\n")
    with pytest.raises(InvalidInput, match="only a waiting run can move"):
        run.move()
    assert pair.find_run(run.id).host == run.host


def test_the_lines_of_all_parts_end_when_a_log_cannot_be_read_or_nobody_wants_them():
    def pieces(node, stop):
        yield LogPiece(0, b"a\n")
        while node == 0 and not stop.wait(0.01):
            yield LogPiece(2, b"b\n")
        if node == 1:
            raise GONE

    with pytest.raises(HostUnreachable, match="gone"):
        list(merged(pieces, [0, 1], None))
    stop = threading.Event()
    got = []
    for each in merged(pieces, [0, 2], stop):
        got.append(each)
        if {(0, b"b\n"), (2, b"a\n")} <= set(got):
            stop.set()
    assert got[-1] in {(0, b"b\n"), (2, b"a\n")}


@pytest.mark.needs("openssh")
def test_a_run_on_several_hosts_is_stopped_on_all(pair):
    run = pair.run("exec sleep 600", 2, nodes=2, detach=True)
    run.stop()
    assert [len(each.available) for each in pair.snapshot().succeeded.values()] == [2, 2]
    assert (run.state, run.returncode) == ("stopped", 143)
    again = run.restart()
    assert (again.hosts, again.state, again.info.spec.restarted) == (run.hosts, "running", run.id)
