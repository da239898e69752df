from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device
from genvx.core.gang import in_order
from genvx.core.jobvariables import variables
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import HostLost, HostUnreachable, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.fleet import gang
from genvx.fleet.fleet import Fleet
from genvx.local.host import LocalHost
from genvx.testing import FakeHost


def held(*hosts):
    return [sum(len(e.devices) for e in host.snapshot().environments) for host in hosts]


def test_the_same_is_taken_on_each_host_and_given_back_together():
    hosts = [FakeHost(name, 2) for name in "abc"]
    with gang.take(Fleet(hosts), Ask(Requirements(2)), 3) as found:
        assert [host.name for host, _ in found.members] == ["a", "b", "c"]
        assert held(*hosts) == [2, 2, 2]
    assert held(*hosts) == [0, 0, 0]


def test_a_program_takes_a_gang_too():
    hosts = [FakeHost("a"), FakeHost("b")]
    with Fleet(hosts).gang(2, "A100:1") as found:
        assert [len(hold.grant.devices) for _, hold in found.members] == [1, 1]
    assert held(*hosts) == [0, 0]


def test_where_one_is_busy_nothing_is_taken():
    a, b = FakeHost("a"), FakeHost("b")
    b.acquire(Ask(Requirements(1)))
    with pytest.raises(NoCapacity, match="but 1 have room now") as caught:
        gang.take(Fleet([a, b]), Ask(Requirements(1)), 2)
    assert list(caught.value.reasons) == ["b"]
    assert held(a, b) == [0, 1]


def test_more_hosts_than_there_ever_are_are_refused_as_such():
    with pytest.raises(Unsatisfiable, match="at most 1 can ever have them"):
        gang.take(Fleet([FakeHost("a", 2), FakeHost("b", 1)]), Ask(Requirements(2)), 2)


def mixed_pool(*models):
    """A host of one GPU for each model, named a, b, c, …"""
    return Fleet(
        [
            FakeHost("abc"[n], [Device(f"SIM-{n}", 0, model, 80 << 30, simulated=True)])
            for n, model in enumerate(models)
        ]
    )


def models_of(found):
    return [hold.grant.devices[0].name for _, hold in found.members]


def test_all_nodes_have_one_model_though_others_would_come_first():
    fleet = mixed_pool("A10-24GB", "A100-80GB", "A100-80GB")
    with fleet.gang(2, 1) as found:
        assert models_of(found) == ["A100-80GB", "A100-80GB"]
    with fleet.gang(2, 1, mixed=True) as found:
        assert models_of(found) == ["A10-24GB", "A100-80GB"]


def test_a_request_for_two_models_gets_one_of_them_on_all_nodes():
    with mixed_pool("A100-40GB", "H100-80GB", "H100-80GB").gang(2, "A100,H100:1") as found:
        assert models_of(found) == ["H100-80GB", "H100-80GB"]


def test_where_no_model_is_on_enough_hosts_that_is_said_with_the_way_out():
    with pytest.raises(
        Unsatisfiable,
        match="2 hosts with 1 GPU each, all of one model, wanted, but at most 1 can ever have "
        "them; --mixed takes different models",
    ):
        mixed_pool("A10-24GB", "A100-80GB").gang(2, 1)


def test_a_model_whose_name_another_begins_with_is_not_mixed_with_it():
    fleet = mixed_pool("RTX-4090", "RTX-4090-D", "RTX-4090")
    with fleet.gang(2, 1) as found:
        assert models_of(found) == ["RTX-4090", "RTX-4090"]


def test_one_model_is_waited_for_while_another_is_free():
    fleet = mixed_pool("A10-24GB", "A100-80GB", "A100-80GB")
    busy = fleet.host("c").acquire(Ask(Requirements(1)))
    with pytest.raises(NoCapacity, match="but 1 have room now; --mixed takes different models"):
        fleet.gang(2, 1)
    with gang.take(
        fleet, Ask(Requirements(1), patience=30), 2, tell=lambda name, standing: busy.release()
    ) as found:
        assert models_of(found) == ["A100-80GB", "A100-80GB"]


class Cut(FakeHost):
    """Fails once it is to give something."""

    def acquire(self, ask):
        raise HostUnreachable("cut")


def test_a_host_that_is_lost_while_others_are_waited_for_is_replaced():
    listeners = []

    class Losable(FakeHost):
        def acquire(self, ask):
            hold = super().acquire(ask)
            hold.on_loss = lambda call: listeners.append((hold, call))
            return hold

    hosts = [Losable(name) for name in "abc"]
    first, second = in_order("ab", {host.name: host.snapshot() for host in hosts})
    hosts["abc".index(second)].acquire(Ask(Requirements(1)))  # for ever

    def lose(host, standing):
        ((hold, call),) = listeners
        assert (hold.host.name, host) == (first, second)
        call(HostLost("cut"))

    with pytest.raises(NoCapacity) as caught:
        gang.take(Fleet(hosts[:2]), Ask(Requirements(1), patience=60), 2, tell=lose)
    assert caught.value.reasons[first] == "cut"


def test_a_host_that_fails_is_replaced():
    hosts = [FakeHost("a"), Cut("b"), FakeHost("c")]
    with gang.take(Fleet(hosts), Ask(Requirements(1)), 2) as found:
        assert [host.name for host, _ in found.members] == ["a", "c"]


def test_where_a_host_fails_and_nothing_replaces_it_the_others_are_given_back():
    a, b = FakeHost("a"), Cut("b")
    with pytest.raises(NoCapacity) as caught:
        gang.take(Fleet([a, b]), Ask(Requirements(1)), 2)
    assert caught.value.reasons == {"b": "cut"}
    assert held(a, b) == [0, 0]


def test_a_busy_host_is_waited_for_with_the_others_held():
    a, b = FakeHost("a"), FakeHost("b")
    busy = b.acquire(Ask(Requirements(1)))
    told = []

    def tell(name, standing):
        told.append((name, held(a)))
        busy.release()

    with gang.take(Fleet([a, b]), Ask(Requirements(1), patience=30), 2, tell=tell):
        assert held(a, b) == [1, 1]
    assert told == [("b", [1])]


def test_waiting_too_long_gives_all_back():
    a, b = FakeHost("a"), FakeHost("b")
    b.acquire(Ask(Requirements(1)))
    with pytest.raises(WaitedTooLong, match="got 1 of 2 hosts in time; b: 1 GPU not free"):
        gang.take(Fleet([a, b]), Ask(Requirements(1), patience=0.05), 2)
    assert held(a, b) == [0, 1]


def test_hosts_have_one_order_whatever_they_are_called():
    hosts = [FakeHost("b"), FakeHost("a")]
    seen = {host.name: host.snapshot() for host in hosts}
    renamed = {"x": seen["b"], "y": seen["a"]}
    assert in_order(["b", "a"], seen) == ("a", "b")
    assert in_order(["x", "y"], renamed) == ("y", "x")


@given(st.integers(1, 5), st.integers(0, 8))
def test_ranks_and_sizes_fit_together(nodes, gpus):
    names = [f"n{i}" for i in range(nodes)]
    seen = [variables(rank, names, gpus, "m", 1234) for rank in range(nodes)]
    assert [int(v["NODE_RANK"]) for v in seen] == list(range(nodes))
    for v in seen:
        assert int(v["WORLD_SIZE"]) == nodes * int(v["NPROC_PER_NODE"])
        assert v["GENVX_NODES"].split(",") == names


def test_twenty_gangs_at_four_hosts_all_get_their_turn(short_tmp):
    """Real stores and locks. Each wants two or three of four hosts, so nobody can have all."""
    environs = [
        {
            "GENVX_STATE_DIR": str(short_tmp / f"state{i}"),
            "GENVX_SIMULATE": "1xA100-80GB",
            "PATH": "/usr/bin:/bin",
        }
        for i in range(4)
    ]
    owners: dict[str, int] = {}
    faults: list[object] = []
    done: list[int] = []

    def race(number):
        chance = random.Random(number)
        hosts = [LocalHost(f"h{i}", environ=environs[i]) for i in range(4)]
        chance.shuffle(hosts)  # everybody has another hostfile
        try:
            with gang.take(
                Fleet(hosts), Ask(Requirements(1), patience=50), chance.choice((2, 3))
            ) as g:
                for _, hold in g.members:
                    (device,) = hold.grant.devices
                    if owners.setdefault(device.uuid, number) != number:
                        faults.append(f"{device.uuid} is given twice")
                for _, hold in g.members:
                    owners.pop(hold.grant.devices[0].uuid)
            done.append(number)
        except Exception as error:  # whatever it is, in a thread it would be lost
            faults.append(error)
        finally:
            for host in hosts:
                host.close()

    threads = [threading.Thread(target=race, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(done) == list(range(20))
    for environ in environs:
        snapshot = LocalHost(environ=environ).snapshot()
        assert (snapshot.leases, snapshot.tickets) == ((), ())
