"""How the supervisors of a gang's parts keep in touch: over real connections, with strangers."""

from __future__ import annotations

import contextlib
import os
import resource
import socket

import pytest

from genvx.core.runs.part import Meeting, Part
from genvx.core.wire import gangtalk
from genvx.local.runs.gang import hub, spoke
from genvx.local.runs.gang.hub import Hub
from genvx.local.runs.gang.spoke import Spoke
from tests.helpers import until

SECRET = "5ec2e7"
NODES = ("a", "b", "c")


class Watched:
    """What would wake a supervisor."""

    def __init__(self):
        self.descriptors = set()

    def watch(self, descriptor):
        assert descriptor not in self.descriptors
        self.descriptors.add(descriptor)

    def forget(self, descriptor):
        self.descriptors.remove(descriptor)


class Sides:
    """A node 0, and others that are made as they are needed. said: what they wrote into logs."""

    def __init__(self):
        self.said = []
        self.watched = Watched()
        meeting = Meeting(SECRET, "127.0.0.1")
        self.hub = Hub("abcd", Part(0, NODES), meeting, self.watched, self.said.append)
        self.sides = [self.hub]

    def add(self, rank=1, secret=SECRET):
        meeting = Meeting(secret, "127.0.0.1", self.hub.port)
        self.sides.append(Spoke("abcd", Part(rank, NODES), meeting, self.watched, self.said.append))
        return self.sides[-1]

    def until(self, condition):
        def look():
            for side in self.sides:
                side.look()
            return condition()

        return until(look)

    def linked(self, rank=1):
        part = self.add(rank)
        self.until(lambda: part.linked)
        return part

    def vanish(self, side):
        """Have a side end as it does when its supervisor is killed."""
        self.sides.remove(side)
        side.close()

    def stranger(self):
        return contextlib.closing(socket.create_connection(("127.0.0.1", self.hub.port), 10))


@pytest.fixture
def gang():
    sides = Sides()
    yield sides
    for side in sides.sides:
        side.close()
    assert sides.watched.descriptors == set()


def hung_up(connection):
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_who_fails_first_ends_all_the_others(gang):
    one, two = gang.linked(1), gang.linked(2)
    gang.hub.go()
    gang.until(lambda: one.started and two.started)
    one.ended(3)
    gang.until(lambda: gang.hub.failed == (3, 1) and two.failed == (3, 1))
    assert one.failed is None
    assert "node 1 (b) has ended with exit code 3; all are ended" in gang.said
    gang.until(lambda: not one.waits())


def test_node_0_stays_until_the_last_part_has_ended(gang):
    one, two = gang.linked(1), gang.linked(2)
    gang.hub.go()
    gang.hub.ended(0)
    one.ended(0)
    gang.until(lambda: not one.waits())
    assert gang.hub.waits()
    two.ended(0)
    gang.until(lambda: not (two.waits() or gang.hub.waits()))
    assert gang.hub.failed is None


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\xff\n",
        b"x" * 5000,
        b"ended 1 1\n",
        b"go\n",
        b"part 1 " + b"0" * 32 + b" " + b"0" * 64 + b"\n",
        b"part 99999999999999999999 " + b"0" * 32 + b" " + b"0" * 64 + b"\n",
        ("part \u0661 " + "0" * 32 + " " + "0" * 64 + "\n").encode(),
    ],
)
def test_a_stranger_is_hung_up_on_and_changes_nothing(gang, said):
    part = gang.linked()
    with gang.stranger() as stranger:
        stranger.sendall(said)
        gang.until(lambda: hung_up(stranger))
    assert gang.hub.failed is None
    part.ended(0)
    gang.until(lambda: not part.waits())


def test_what_somebody_has_heard_does_not_make_them_a_part(gang):
    with gang.stranger() as stranger:
        file = stranger.makefile("rwb", buffering=0)
        gang.until(lambda: gang.hub._strangers)
        nonce = gangtalk.read(file.readline().rstrip()).nonce
        # The words of an earlier connection, which had another nonce.
        recorded = gangtalk.proof(SECRET, "part", "abcd", 1, "0" * 32, "1" * 32)
        assert recorded != gangtalk.proof(SECRET, "part", "abcd", 1, nonce, "1" * 32)
        file.write(gangtalk.introduction(1, "1" * 32, recorded).encode())
        gang.until(lambda: hung_up(stranger))


def test_a_part_with_another_secret_goes_on_alone(gang, monkeypatch):
    monkeypatch.setattr(spoke, "CONNECT_WITHIN", 0.3)
    part = gang.add(secret="other")
    gang.until(lambda: part.alone)
    assert not part.linked
    assert gang.hub.failed is None


def test_who_has_the_port_after_node_0_is_not_believed(gang):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        meeting = Meeting(SECRET, "127.0.0.1", port)
        part = Spoke("abcd", Part(1, NODES), meeting, gang.watched, gang.said.append)
        gang.sides.append(part)
        part.look()
        with contextlib.closing(server.accept()[0]) as taken:
            words = gangtalk.greeting("0" * 32) + gangtalk.welcome("0" * 64) + "go\nended 1 0\n"
            taken.sendall(words.encode())
            gang.until(lambda: hung_up(taken))
    assert not part.linked
    assert (part.started, part.failed) == (False, None)


def test_many_strangers_take_few_descriptors_and_keep_no_part_out(gang):
    before = len(os.listdir("/proc/self/fd"))
    with contextlib.ExitStack() as stack:
        strangers = []
        for _ in range(10):
            strangers += [stack.enter_context(gang.stranger()) for _ in range(10)]
            gang.hub.look()
        ours = len(os.listdir("/proc/self/fd")) - before - len(strangers)
        assert ours <= 16 + len(NODES)
        gang.linked()
    assert gang.hub.failed is None


def test_without_a_descriptor_node_0_does_not_wake_for_ever_and_hears_of_it_later(gang):
    listening = gang.hub._listener.fileno()
    with gang.stranger():
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (listening, limits[1]))
        try:
            gang.hub.look()
            assert listening not in gang.watched.descriptors
            assert gang.hub.due() <= 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        gang.until(lambda: listening in gang.watched.descriptors and gang.hub._strangers)


def test_a_part_that_is_cut_off_connects_again_and_hears_what_it_has_missed(gang):
    part = gang.linked()
    gang.hub._links[1].close()
    gang.hub.look()
    gang.hub.go()
    gang.until(lambda: part.started)
    assert gang.hub.failed is None


def test_an_end_that_was_not_heard_is_said_again(gang):
    part = gang.linked()
    gang.hub._links[1].close()
    part.ended(0)
    gang.until(lambda: not part.waits())
    assert gang.hub.failed is None


def test_a_part_that_does_not_come_back_has_failed(gang, monkeypatch):
    monkeypatch.setattr(hub, "RETURN_WITHIN", 0.2)
    one, two = gang.linked(1), gang.linked(2)
    gang.vanish(one)
    gang.until(lambda: two.failed == (1, 1))


def test_a_node_0_that_does_not_come_back_has_failed_unless_it_had_ended_well(gang, monkeypatch):
    monkeypatch.setattr(spoke, "RETURN_WITHIN", 0.2)
    part = gang.linked()
    gang.vanish(gang.hub)
    gang.until(lambda: part.failed == (1, 0))


def test_a_node_0_that_had_ended_well_is_not_missed(gang, monkeypatch):
    monkeypatch.setattr(spoke, "RETURN_WITHIN", 0.2)
    part = gang.linked()
    gang.hub.go()
    gang.hub.ended(0)
    gang.until(lambda: part._node0_over)
    gang.vanish(gang.hub)
    gang.until(lambda: part.alone)
    assert part.failed is None


@pytest.mark.parametrize("silent", ["node 0", "a part"])
def test_who_says_nothing_for_long_has_failed(gang, monkeypatch, silent):
    part = gang.linked()
    monkeypatch.setattr(hub if silent == "a part" else spoke, "SILENT_FOR", 0.2)
    gang.sides.remove(part if silent == "a part" else gang.hub)
    if silent == "a part":
        gang.until(lambda: gang.hub.failed == (1, 1))
    else:
        gang.until(lambda: part.failed == (1, 0))
    gang.sides[:] = [gang.hub, part]


def test_signs_of_life_are_enough_for_everybody_to_go_on(gang, monkeypatch):
    for side in (hub, spoke):
        monkeypatch.setattr(side, "ALIVE_EVERY", 0.02)
    part = gang.linked()
    part._alive_at = gang.hub._alive_at = 0.0
    heard = gang.hub._links[1].heard, part._link.heard
    gang.until(lambda: gang.hub._links[1].heard > heard[0] and part._link.heard > heard[1])
    assert gang.hub.failed is None
    assert part.failed is None
