"""A monitor's rounds: each host for itself, and none asked twice at once."""

from __future__ import annotations

import threading

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import HostUnreachable
from genvx.fleet.ask import HostGroup
from genvx.testing import FakeHost
from genvx.watching.board import Board
from genvx.watching.monitor import Monitor
from genvx.watching.rounds import Rounds


class Hanging(FakeHost):
    """A host whose questions hang where no deadline reaches, until they are let go."""

    def __init__(self, name):
        super().__init__(name)
        self.asked = 0
        self.go = threading.Event()

    def snapshot(self, *, holders=False, sensors=False):
        self.asked += 1
        self.go.wait(60)
        return super().snapshot()


def test_a_host_that_hangs_delays_no_other_and_is_not_asked_again():
    hanging, good = Hanging("hangs"), FakeHost("good")
    rounds = Rounds(HostGroup([hanging, good], timeout=0.1, grace=0.1))
    try:
        first = rounds.round()
        sight = next(first)
        assert (sight.host, sight.error) == ("good", None)
        assert hanging.asked == 1
        (late,) = first
        assert (late.host, late.error.kind) == ("hangs", "timeout")
        for _ in range(3):
            found = {each.host: each for each in rounds.round()}
            assert found["good"].snapshot is not None
            assert "earlier question" in str(found["hangs"].error)
        assert hanging.asked == 1
    finally:
        hanging.go.set()


def test_a_host_is_told_of_once_when_it_fails_and_once_when_it_answers():
    told, host = [], FakeHost("a")
    group = HostGroup([host, FakeHost("b")], fanout=0)
    monitor = Monitor(group, Board(2, 600), 15, tell=told.append)
    for error in (None, HostUnreachable("gone"), HostUnreachable("gone"), None, None):
        host.error = error
        monitor.round()
    assert told == ["a: network: gone", "a answers again"]


def test_rounds_show_a_fleet_and_its_leases():
    host = FakeHost("a", 2)
    board = Board(1, 600)
    monitor = Monitor(HostGroup([host], fanout=0), board, 15)
    with host.acquire(Ask(Requirements(gpus=1), "train")):
        monitor.round()
        assert 'genvx_host_devices_available{host="a"} 1\n' in board.page().decode()
    monitor.round()
    assert 'genvx_host_devices_available{host="a"} 2\n' in board.page().decode()
    assert "genvx_monitor_rounds_total 2\n" in board.page().decode()
