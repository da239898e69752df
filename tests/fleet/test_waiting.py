from __future__ import annotations

import threading

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import HostUnreachable, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.fleet.fleet import Fleet
from genvx.fleet.line import wait_for_room
from genvx.testing import FakeHost
from tests.helpers import until


def full(name, devices=1):
    host = FakeHost(name, devices)
    return host, host.acquire(Ask(Requirements(devices)))


def waiting(*hosts):
    return [len(host.snapshot().tickets) for host in hosts]


def test_the_first_host_that_has_room_is_taken_and_the_others_are_left():
    (a, of_a), (b, _) = full("a"), full("b")
    fleet = Fleet([a, b])

    def tell(name, standing):
        if waiting(a, b) == [1, 1]:
            of_a.release()

    host, hold = wait_for_room(fleet, Ask(Requirements(1)), tell=tell)
    with hold:
        assert host is a
        until(lambda: waiting(a, b) == [0, 0], "both tickets are gone")


def test_what_two_hosts_give_at_once_is_taken_once():
    """Whichever comes second is given back."""
    for _ in range(20):
        (a, of_a), (b, of_b) = full("a"), full("b")
        begun = threading.Event()

        def tell(name, standing, a=a, b=b, of_a=of_a, of_b=of_b, begun=begun):
            if waiting(a, b) == [1, 1] and not begun.is_set():
                begun.set()
                of_a.release()
                of_b.release()

        _, hold = wait_for_room(Fleet([a, b]), Ask(Requirements(1)), tell=tell)
        with hold:
            held = [host.snapshot().environments for host in (a, b)]
            until(
                lambda a=a, b=b: sum(len(h.snapshot().environments) for h in (a, b)) == 1,
                f"one is held, not {held}",
            )


def test_a_host_that_could_never_is_not_waited_for():
    (large, _), (small, _) = full("large", 2), full("small", 1)
    seen = []
    with pytest.raises(WaitedTooLong) as caught:
        wait_for_room(
            Fleet([large, small]),
            Ask(Requirements(2), patience=0.1),
            tell=lambda name, standing: seen.append(name),
        )
    assert set(seen) == {"large"}
    assert list(caught.value.reasons) == ["large", "small"]
    assert caught.value.exit_code == 124


def test_what_no_host_ever_has_is_refused_at_once():
    (a, _), (b, _) = full("a"), full("b", 2)
    with pytest.raises(Unsatisfiable, match=r"none has more than 2 \(b\)"):
        wait_for_room(Fleet([a, b]), Ask(Requirements(3)))


def test_where_those_that_might_have_it_failed_there_is_no_waiting():
    fleet = Fleet([full("a")[0], FakeHost("gone", error=HostUnreachable("no route"))])
    with pytest.raises(NoCapacity) as caught:
        wait_for_room(fleet, Ask(Requirements(2)))
    assert caught.value.reasons["gone"] == "no route"
    assert not isinstance(caught.value, Unsatisfiable)


def test_a_host_that_fails_while_we_wait_does_not_end_it():
    (a, of_a), (b, _) = full("a"), full("b")

    def tell(name, standing):
        b.error = HostUnreachable("gone")
        of_a.release()

    host, hold = wait_for_room(Fleet([a, b]), Ask(Requirements(1)), tell=tell)
    assert host is a
    hold.release()


def keepers(*hosts):
    return [[ticket.keeps for ticket in host.snapshot().tickets] for host in hosts]


def test_one_host_keeps_what_becomes_free_and_the_others_do_not():
    (a, of_a), (b, _) = full("a"), full("b")
    seen = []

    def tell(name, standing):
        if waiting(a, b) == [1, 1]:
            seen.append(keepers(a, b))
            of_a.release()

    _, hold = wait_for_room(Fleet([a, b]), Ask(Requirements(1)), tell=tell)
    hold.release()
    assert seen[0] in ([[True], [False]], [[False], [True]])


def test_where_the_host_that_keeps_fails_another_does_so():
    (a, _), (b, of_b) = full("a"), full("b")
    lost = HostUnreachable("gone")

    def tell(name, standing):
        if waiting_on(a) and keepers(a) == [[True]]:
            a.error = lost
        elif a.error is lost and True in keepers(b)[0]:
            of_b.release()

    def waiting_on(host):
        return host.error is None and host.snapshot().tickets

    host, hold = wait_for_room(Fleet([a, b]), Ask(Requirements(1)), tell=tell)
    hold.release()
    assert host is b


def test_a_program_can_wait_too():
    (a, of_a), (b, _) = full("a"), full("b")
    threading.Thread(
        target=lambda: (until(lambda: waiting(a, b) == [1, 1]), of_a.release())
    ).start()
    with Fleet([a, b]).activate("A100:1", wait=30) as hold:
        assert hold.grant.devices == a.devices
