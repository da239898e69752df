from __future__ import annotations

import random

import pytest

from genvx.core.device import Device
from genvx.core.leases import environments
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.placing.placement import Placement, place
from genvx.core.placing.ranking import rank
from genvx.core.placing.refusal import Refusal
from genvx.core.requests.requirements import Requirements
from genvx.core.snapshot import Snapshot, State
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Health
from genvx.core.value import replace
from genvx.errors import InvalidQuantity

GIB = 1 << 30
RAZ = Owner(1003, "raz")


def device(index, memory=80 * GIB):
    return Device(f"GPU-{index}", index, "A100", memory)


def process(uid, *, memory=GIB, compute=True):
    return DeviceProcess(77, uid, "eve", "python", memory, compute)


def hold(*uuids, memory=None, owner=RAZ, env="abcd"):
    return Lease(
        uuids, memory, id="0011", owner=owner, environment_id=env, name="my-env", boot_id="b",
        since_ns=0,
    )  # fmt: skip


def snapshot(*devices, leases=(), **usage):
    return Snapshot(
        hostname="h",
        version="0",
        boot_id="b",
        boottime_ns=10**9,
        driver=Driver("1"),
        devices=devices,
        leases=leases,
        usage={key.replace("_", "-"): value for key, value in usage.items()},
    )


def indices(decision):
    assert isinstance(decision, Placement), decision
    return [d.index for d in decision.devices]


def reason(decision, label="0"):
    assert isinstance(decision, Refusal)
    return dict(decision.reasons)[label]


def test_the_lowest_of_equal_devices_are_taken():
    assert indices(place(Requirements(2), snapshot(device(0), device(1), device(2)))) == [0, 1]


def test_small_devices_are_taken_before_large_ones():
    found = snapshot(device(0), device(1, 16 * GIB))
    assert indices(place(Requirements(1), found)) == [1]


def test_a_share_goes_where_the_least_is_left():
    found = snapshot(device(0), device(1), leases=(hold("GPU-1", memory=40 * GIB),))
    assert indices(place(Requirements(1, 30 * GIB), found)) == [1]


def test_the_third_share_of_30_gib_does_not_fit_on_80():
    leases = (hold("GPU-0", memory=30 * GIB), hold("GPU-0", memory=30 * GIB, env="beef"))
    assert "is leased by" in reason(
        place(Requirements(1, 30 * GIB), snapshot(device(0), leases=leases))
    )


def test_a_share_larger_than_any_device_says_what_there_is():
    assert reason(place(Requirements(1, 96 * GIB), snapshot(device(0)))) == "has 80 GiB"


def test_no_devices_asked_for_is_always_granted():
    assert indices(place(Requirements(0), snapshot())) == []


def test_a_refusal_says_wanted_available_and_why():
    found = snapshot(device(0), device(1), leases=(hold("GPU-0"),))
    assert str(place(Requirements(2), found)) == (
        "2 GPUs wanted, 1 of 2 available (GPU 0: leased by raz(1003) as my-env, 1 s)"
    )


@pytest.mark.parametrize("health", [Health.LOST, Health.UNHEALTHY, Health.UNKNOWN])
def test_a_sick_device_is_never_handed_out(health):
    found = snapshot(device(0), GPU_0=DeviceUsage(health, "Xid 79"))
    assert reason(place(Requirements(1), found)) == f"is {health.value}: Xid 79"


def test_a_device_with_a_foreign_process_is_not_handed_out():
    found = snapshot(device(0), GPU_0=DeviceUsage(processes=(process(1004),)))
    assert reason(place(Requirements(1), found)) == "is in use outside any lease by eve, pid 77"
    assert found.state(found.devices[0]) is State.BUSY


def test_a_device_with_a_foreign_process_is_taken_where_that_is_wanted_and_no_other_is_free():
    used = DeviceUsage(processes=(process(1004),))
    found = snapshot(device(0), device(1), device(2), GPU_0=used, GPU_2=used)
    assert indices(place(Requirements(1, in_use=True), found)) == [1]
    assert indices(place(Requirements(3, in_use=True), found)) == [0, 1, 2]
    leased = snapshot(device(0), leases=(hold("GPU-0"),), GPU_0=used)
    assert reason(place(Requirements(1, in_use=True), leased)).startswith("is leased by raz")
    sick = snapshot(device(0), GPU_0=DeviceUsage(Health.LOST, "Xid 79"))
    assert reason(place(Requirements(1, in_use=True), sick)) == "is lost: Xid 79"


def test_an_idle_desktop_does_not_make_a_device_busy():
    usage = DeviceUsage(processes=(process(0, memory=499 << 20, compute=False),))
    assert indices(place(Requirements(1), snapshot(device(0), GPU_0=usage))) == [0]


@pytest.mark.parametrize("memory", [500 << 20, None])
def test_a_desktop_that_uses_much_or_an_unknown_amount_does(memory):
    usage = DeviceUsage(processes=(process(0, memory=memory, compute=False),))
    assert isinstance(place(Requirements(1), snapshot(device(0), GPU_0=usage)), Refusal)


@pytest.mark.parametrize(
    ("uid", "memory", "held", "foreign"),
    [
        (0, 30 << 20, False, False),
        (0, 500 << 20, False, True),
        (0, None, False, True),
        (0, None, True, False),  # it serves the holder, as far as can be told
        (RAZ.uid, 20 * GIB, True, False),  # of old GPUs, where it has what its clients use
    ],
)
def test_a_server_of_mps_is_its_clients_owner_or_nobody(uid, memory, held, foreign):
    server = DeviceProcess(77, uid, "eve", "nvidia-cuda-mps-server", memory, True, mps=True)
    leases = (hold("GPU-0", memory=GIB),) if held else ()
    found = snapshot(device(0), leases=leases, GPU_0=DeviceUsage(processes=(server,)))
    assert bool(found.foreign(found.devices[0])) is foreign


def test_a_tenants_own_process_is_not_foreign():
    usage = DeviceUsage(processes=(process(RAZ.uid),))
    found = snapshot(device(0), leases=(hold("GPU-0", memory=GIB),), GPU_0=usage)
    assert indices(place(Requirements(1, GIB), found)) == [0]


def test_processes_that_cannot_be_seen_are_not_the_same_as_none():
    usage = DeviceUsage(memory_used=2 * GIB, processes=None)
    found = snapshot(device(0), GPU_0=usage)
    told = "is busy (2 GiB in use by no visible process)"
    assert reason(place(Requirements(1), found)) == told
    assert found.available == ()


def test_where_neither_processes_nor_memory_are_told_a_device_counts_as_used():
    found = snapshot(device(0), GPU_0=DeviceUsage(processes=None))
    told = "is busy (processes on it cannot be seen from here)"
    assert reason(place(Requirements(1), found)) == told


@pytest.mark.parametrize(
    ("used", "processes", "state"),
    [
        (20 * GIB, (), State.BUSY),
        (GIB, (), State.BUSY),
        (GIB - 1, (), State.FREE),
        (5 * GIB, (process(0, memory=100 << 20, compute=False),), State.BUSY),
    ],
)
def test_much_memory_that_no_visible_process_has_is_somebodys(used, processes, state):
    usage = DeviceUsage(memory_used=used, processes=processes)
    found = snapshot(device(0), GPU_0=usage)
    assert found.state(found.devices[0]) is state
    assert (found.available == ()) is (state is State.BUSY)


@pytest.mark.parametrize(
    ("used", "processes", "fits"),
    [
        (10 * GIB, (), True),  # it has ended just now, or is in a container
        (12 * GIB, (process(RAZ.uid, memory=12 * GIB),), True),
        (60 * GIB, (process(RAZ.uid, memory=None),), True),
        (30 * GIB, (process(RAZ.uid, memory=2 * GIB),), False),
        (30 * GIB, (), False),
    ],
)
def test_what_a_holder_has_or_was_promised_is_explained(used, processes, fits):
    usage = DeviceUsage(memory_used=used, processes=processes)
    leases = (hold("GPU-0", memory=10 * GIB),)
    found = snapshot(device(0), leases=leases, GPU_0=usage)
    assert found.state(found.devices[0]) is State.SHARED
    decision = place(Requirements(1, 10 * GIB), found)
    if fits:
        assert indices(decision) == [0]
    else:
        assert reason(decision) == "is busy (20 GiB in use by no visible process)"


def test_a_device_that_is_leased_whole_never_looks_busy():
    usage = DeviceUsage(memory_used=70 * GIB)
    found = snapshot(device(0), leases=(hold("GPU-0"),), GPU_0=usage)
    assert found.state(found.devices[0]) is State.LEASED
    assert reason(place(Requirements(1), found)).startswith("is leased by raz(1003)")


def test_where_processes_cannot_be_seen_an_empty_memory_tells_that_a_device_is_idle():
    usage = DeviceUsage(memory_used=4 << 20, processes=None)
    assert indices(place(Requirements(1), snapshot(device(0), GPU_0=usage))) == [0]


def test_an_environment_is_not_offered_again_what_it_holds():
    found = snapshot(device(0), leases=(hold("GPU-0", memory=GIB),))
    decision = place(Requirements(1, GIB), found, environment=(RAZ.uid, "abcd"))
    assert reason(decision) == "is held by this environment already"


def test_only_the_indices_that_the_hostfile_offers_are_used():
    found = snapshot(device(0), device(1))
    assert indices(place(Requirements(1, among=(1,)), found)) == [1]
    assert reason(place(Requirements(2, among=(1,)), found)) == "is not offered by the hostfile"


def test_a_whole_host_request_works():
    assert indices(place(Requirements(3), snapshot(device(0), device(1), device(2)))) == [0, 1, 2]


def test_chance_chooses_only_among_what_fits():
    found = snapshot(device(0), device(1), device(2), leases=(hold("GPU-1"),))
    for seed in range(20):
        chosen = place(Requirements(1), found, shuffle=random.Random(seed))
        assert indices(chosen)[0] in (0, 2)


def test_hosts_are_ranked_so_that_whole_hosts_stay_free():
    hosts = {
        "large": snapshot(device(0), device(1), device(2)),
        "small": snapshot(device(0)),
        "full": snapshot(device(0), leases=(hold("GPU-0"),)),
    }
    ranked, refusals = rank(Requirements(1), hosts)
    assert ranked == ("small", "large")
    assert list(refusals) == ["full"]


def test_equal_hosts_keep_the_order_of_the_hostfile():
    hosts = {name: snapshot(device(0)) for name in ("c", "a", "b")}
    assert rank(Requirements(1), hosts)[0] == ("c", "a", "b")


def test_who_has_the_devices_of_full_hosts_is_found_out_only_when_somebody_asks(monkeypatch):
    """Most of a thousand hosts may be full; where one has room, nobody reads why others do not."""
    asked, found = [], environments.environments
    monkeypatch.setattr(
        environments, "environments", lambda leases: asked.append(leases) or found(leases)
    )
    hosts = {"full": snapshot(device(0), leases=[hold("GPU-0")]), "free": snapshot(device(0))}
    ranked, refusals = rank(Requirements(1), hosts)
    assert (ranked, list(refusals), asked) == (("free",), ["full"], [])
    assert "leased by raz" in refusals["full"].found
    assert asked


def test_a_host_without_driver_says_so():
    empty = replace(snapshot(), driver=Driver(error="no NVIDIA driver on this host"))
    assert "no NVIDIA driver" in str(place(Requirements(1), empty))


@pytest.mark.parametrize(
    "wrong", [{"gpus": -1}, {"gpus": 5000}, {"gpus": True}, {"gpus": 1.5}, {"gpus": 1, "memory": 0}]
)
def test_impossible_requirements_cannot_be_made(wrong):
    with pytest.raises(InvalidQuantity):
        Requirements(**wrong)


def test_a_share_without_a_count_means_one_device():
    assert Requirements.parse(None, "40G") == Requirements(1, 40 * GIB)
    assert Requirements.parse() == Requirements(0)
