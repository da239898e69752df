"""Fan-out, placement over hosts, and what becomes of failures; on the shipped fake."""

from __future__ import annotations

import threading

import pytest

import genvx
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import FleetError, HostUnreachable, InvalidQuantity, NoCapacity, UnknownHost
from genvx.fleet.fleet import Fleet
from genvx.fleet.host import Host
from genvx.testing import FakeHost

GONE = HostUnreachable("gone", kind="refused")


def test_the_fake_and_the_local_host_are_hosts(state):
    assert isinstance(FakeHost("a"), Host)
    assert isinstance(genvx.LocalHost(), Host)


@pytest.mark.parametrize("fanout", [0, 1, 2, 128])
def test_a_partial_failure_never_hides_the_successes(fanout):
    fleet = Fleet([FakeHost("a"), FakeHost("b", error=GONE), FakeHost("c")], fanout=fanout)
    outcomes = fleet.snapshot()
    assert list(outcomes.succeeded) == ["a", "c"]
    assert outcomes.failed == {"b": GONE}
    with pytest.raises(FleetError, match="b: gone") as caught:
        outcomes.values()
    assert caught.value.outcomes is outcomes


def test_no_more_than_fanout_are_asked_at_once():
    lock, running, most = threading.Lock(), [], []
    gate = threading.Barrier(3)

    def question(host):
        with lock:
            running.append(host.name)
            most.append(len(running))
        gate.wait(10)
        with lock:
            running.remove(host.name)

    Fleet([FakeHost(str(n)) for n in range(9)], fanout=3).ask(question)
    assert max(most) == 3


def test_a_host_that_hangs_is_left_behind_at_its_deadline():
    stop = threading.Event()

    def question(host):
        if host.name == "b":
            stop.wait(30)
        return host.name

    hosts = [FakeHost("a"), FakeHost("b"), FakeHost("c")]
    fleet = Fleet(hosts, fanout=1, timeout=0.1, grace=0.05)
    outcomes = fleet.ask(question)
    stop.set()
    assert list(outcomes.succeeded) == ["a", "c"]
    assert outcomes.failed["b"].kind == "timeout"


def test_a_fault_on_one_host_is_that_hosts_failure():
    def question(host):
        return {"a": 1}[host.name]

    outcomes = Fleet([FakeHost("a"), FakeHost("b")]).ask(question)
    assert outcomes.succeeded == {"a": 1}
    assert "KeyError" in str(outcomes.failed["b"])


def test_answers_are_told_as_they_come():
    seen = []
    Fleet([FakeHost("a"), FakeHost("b")]).snapshot(seen.append)
    assert sorted(seen) == ["a", "b"]


def test_activate_takes_the_host_that_leaves_whole_hosts_free():
    small, large = FakeHost("small", 1), FakeHost("large", 4)
    fleet = Fleet([large, small])
    with fleet.activate(gpus=1, name="x") as hold:
        assert hold.run("anything").returncode == 0
        assert [e.name for e in small.snapshot().environments] == ["x"]
    assert small.snapshot().environments == ()


def test_a_lost_race_goes_on_to_the_next_host():
    class Raced(FakeHost):
        def acquire(self, ask):
            raise NoCapacity("taken meanwhile")

    second = FakeHost("second", 4)
    with Fleet([Raced("first", 1), second]).activate(gpus=1):
        assert len(second.snapshot().environments) == 1


def test_no_room_says_why_host_by_host_in_the_fleets_order():
    fleet = Fleet([FakeHost("a", 1), FakeHost("b", error=GONE), FakeHost("c", 2)])
    with pytest.raises(NoCapacity, match="Cannot find a host") as caught:
        fleet.activate(gpus=3)
    assert caught.value.reasons == {
        "a": "this host has 1 at most",
        "b": "gone",
        "c": "this host has 2 at most",
    }


@pytest.mark.parametrize("wait", [None, 5])
def test_where_all_hosts_fail_that_is_no_lack_of_room(wait):
    gone = [FakeHost(name, error=HostUnreachable(f"no way to {name}")) for name in "ab"]
    with pytest.raises(FleetError, match="No host answered") as caught:
        Fleet(gone).activate(1, wait=wait)
    assert caught.value.reasons == {"a": "no way to a", "b": "no way to b"}
    with pytest.raises(FleetError, match="No host answered"):
        Fleet(gone).gang(2, 1, wait=wait)
    with pytest.raises(NoCapacity, match="Cannot find a host"):
        full = FakeHost("c", 1)
        full.acquire(Ask(Requirements(1)))
        Fleet([*gone, full]).activate(1)


def test_a_host_that_fails_between_question_and_act_is_passed_over():
    class Dying(FakeHost):
        def acquire(self, ask):
            raise GONE

    good = FakeHost("good", 2)
    with Fleet([Dying("dying", 1), good]).activate(gpus=1):
        assert len(good.snapshot().environments) == 1


def test_bad_requests_ask_no_host():
    host = FakeHost("a", error=AssertionError("asked"))
    with pytest.raises(InvalidQuantity):
        Fleet([host]).activate(gpus=-1)


def test_a_fleet_has_hosts_of_different_names():
    with pytest.raises(UnknownHost):
        Fleet([])
    with pytest.raises(UnknownHost):
        Fleet([FakeHost("a"), FakeHost("a")])
    with pytest.raises(UnknownHost):
        Fleet([FakeHost("a")]).host("b")


def test_the_end_of_the_block_closes_every_host():
    hosts = [FakeHost("a"), FakeHost("b")]
    with Fleet(hosts):
        pass
    assert all(host.closed for host in hosts)


def test_first_with_room_gives_what_the_act_gives():
    fleet = Fleet([FakeHost("a", 2)])
    assert fleet.first_with_room(Requirements(1), lambda host: host.name) == "a"
