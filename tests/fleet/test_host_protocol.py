"""The promises of the Host protocol, kept alike by this machine, one over SSH, and the
shipped fake.
"""

from __future__ import annotations

import threading

import pytest

from genvx.core.request import Requirements
from genvx.errors import (
    InvalidInput,
    NoCapacity,
    UnknownEnvironment,
    Unsatisfiable,
    WaitedTooLong,
)
from genvx.fleet.host import Host
from genvx.fleet.hostfile import load
from genvx.fleet.ssh import connect_fleet
from genvx.local.host import LocalHost
from genvx.testing import FakeHost
from tests.helpers import until

GIB = 1 << 30


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.needs("openssh")), "fake"])
def host(request):
    """A host with two free devices of 80 GiB."""
    if request.param == "local":
        request.getfixturevalue("state")
        found = LocalHost("h")
        yield found
        found.close()
    elif request.param == "ssh":
        sandbox = request.getfixturevalue("make_sandbox")("2")
        with connect_fleet(load(sandbox.hostfile)) as fleet:
            yield fleet.hosts[0]
    else:
        yield FakeHost("h", 2)


def names(host):
    return [environment.name for environment in host.snapshot().environments]


def test_it_is_a_host(host):
    assert isinstance(host, Host)


def test_a_snapshot_shows_two_free_simulated_devices(host):
    snapshot = host.snapshot()
    assert [(d.index, d.name, d.memory, d.simulated) for d in snapshot.devices] == [
        (0, "A100-80GB", 80 * GIB, True),
        (1, "A100-80GB", 80 * GIB, True),
    ]
    assert snapshot.available == snapshot.devices
    assert snapshot.environments == ()


def test_a_hold_is_seen_while_it_lasts(host):
    with host.acquire(Requirements(1), name="mein 'Name'") as hold:
        assert names(host) == ["mein 'Name'"]
        (environment,) = host.snapshot().environments
        assert environment.id == hold.grant.environment
        assert environment.devices == tuple(d.uuid for d in hold.grant.devices)
        assert [d.index for d in host.snapshot().available] == [1]
    assert names(host) == []


def test_the_variables_of_a_grant_name_its_devices(host):
    with host.acquire(Requirements(2), name="x") as hold:
        variables = hold.grant.variables
        assert variables["CUDA_VISIBLE_DEVICES"] == ",".join(d.uuid for d in hold.grant.devices)
        assert variables["GENVX_DEVICES"] == "0,1"
        assert variables["GENVX_ENVIRONMENT_ID"] == hold.grant.environment


def test_more_than_there_is_raises_no_capacity_with_the_same_words(host):
    with pytest.raises(NoCapacity) as caught:
        host.acquire(Requirements(3))
    assert str(caught.value) == "3 GPUs wanted, but this host has 2 at most"
    assert names(host) == []


def test_shares_and_whole_devices_exclude_each_other(host):
    with host.acquire(Requirements(1, 50 * GIB)) as share:
        with pytest.raises(NoCapacity):
            host.acquire(Requirements(2))
        with host.acquire(Requirements(1, 30 * GIB)) as second:
            assert second.grant.devices == share.grant.devices
        with host.acquire(Requirements(1)) as whole:
            assert whole.grant.devices != share.grant.devices


def test_a_name_that_cannot_be_shown_raises_invalid_input(host):
    with pytest.raises(InvalidInput):
        host.acquire(Requirements(1), name="a\nb")
    assert names(host) == []


def test_release_ends_an_environment_by_id_and_by_name(host):
    first = host.acquire(Requirements(1), name="one")
    second = host.acquire(Requirements(1), name="two")
    assert host.release(first.grant.environment).name == "one"
    assert host.release("two").id == second.grant.environment
    assert names(host) == []
    first.release()
    second.release()


@pytest.mark.parametrize("wrong", ["nope", "", "a\nb"])
def test_release_of_what_is_not_there_raises_unknown_environment(host, wrong):
    with pytest.raises(UnknownEnvironment):
        host.release(wrong)


def test_releasing_a_hold_twice_is_once(host):
    hold = host.acquire(Requirements(1))
    hold.release()
    hold.release()
    assert names(host) == []


def test_a_command_runs_under_a_hold(host):
    with host.acquire(Requirements(1)) as hold:
        assert hold.run("true", check=True).returncode == 0


def test_the_doctor_says_that_devices_are_simulated(host):
    assert any("simulated" in finding.result for finding in host.doctor())


def test_more_than_there_ever_is_is_refused_as_such(host):
    with pytest.raises(Unsatisfiable, match="3 GPUs wanted, but this host has 2 at most"):
        host.acquire(Requirements(3))
    with pytest.raises(Unsatisfiable):
        host.wait(Requirements.parse("H100"))


def test_waiting_gives_what_is_free_at_once(host):
    with host.wait(Requirements(1), name="x") as hold:
        assert [d.index for d in hold.grant.devices] == [0]
        assert names(host) == ["x"]
    assert names(host) == []


def test_whoever_waits_gets_what_others_release(host):
    first = host.acquire(Requirements(2))
    told = []

    def release(standing):
        told.append((standing.place, standing.reason))
        first.release()

    with host.wait(Requirements(1), name="x", tell=release):
        assert told == [(1, "0 of 1 available")]
        assert names(host) == ["x"]
        assert host.snapshot().tickets == ()


def test_waiting_ends_in_time_and_leaves_no_ticket(host):
    with host.acquire(Requirements(2)), pytest.raises(WaitedTooLong):
        host.wait(Requirements(1), patience=0.05)
    until(lambda: host.snapshot().tickets == (), "the ticket is gone")


def test_waiting_can_be_ended(host):
    stop = threading.Event()
    with host.acquire(Requirements(2)), pytest.raises(WaitedTooLong):
        host.wait(Requirements(1), tell=lambda standing: stop.set(), stop=stop)
    until(lambda: host.snapshot().tickets == (), "the ticket is gone")
