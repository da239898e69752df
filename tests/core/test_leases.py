from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genvx.core.leases.claim import Owner
from genvx.core.leases.environments import environments
from genvx.core.leases.lease import Lease
from genvx.core.placing.holdings import conflicts, fits, holders

GIB = 1 << 30


def lease(number, uid=1, env="e1", devices=("GPU-a",), memory=None, since=0):
    return Lease(
        id=f"{number:016x}",
        owner=Owner(uid, f"user{uid}"),
        environment_id=env,
        name="",
        devices=devices,
        memory=memory,
        boot_id="b",
        since_ns=since,
    )


def test_a_whole_device_and_anything_else_exclude_each_other():
    share = {(1, "e1"): 10 * GIB}
    assert fits(None, {}, 80 * GIB)
    assert not fits(None, share, 80 * GIB)
    assert not fits(10 * GIB, {(1, "e1"): None}, 80 * GIB)


def test_shares_fit_until_the_device_is_full():
    two = {(1, "a"): 30 * GIB, (2, "b"): 30 * GIB}
    assert fits(20 * GIB, two, 80 * GIB)
    assert not fits(30 * GIB, two, 80 * GIB)


def test_a_device_of_unknown_memory_has_no_shares():
    assert not fits(1, {}, None)


def test_members_of_one_environment_do_not_add_up():
    members = [lease(1, memory=30 * GIB), lease(2, memory=30 * GIB)]
    assert holders(members, "GPU-a") == {(1, "e1"): 30 * GIB}


def test_an_environment_of_another_uid_with_the_same_id_is_another():
    assert conflicts(lease(1, uid=1), [lease(2, uid=2)], {"GPU-a": 80 * GIB})
    assert not conflicts(lease(1, uid=1), [lease(2, uid=1)], {"GPU-a": 80 * GIB})


def test_environments_are_the_sum_of_their_leases():
    first = lease(1, since=5)
    second = lease(2, devices=("GPU-b",), since=9)
    (environment,) = environments([second, first])
    assert environment.devices == ("GPU-a", "GPU-b")
    assert environment.since_ns == 5


_shares = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 90))),
    max_size=8,
)


@given(_shares, st.one_of(st.none(), st.integers(1, 90)))
def test_what_fits_never_exceeds_the_device(found, wanted):
    leases = [lease(n, uid=uid, env=env, memory=size) for n, (uid, env, size) in enumerate(found)]
    held = holders(leases, "GPU-a")
    if fits(wanted, held, 80):
        assert (wanted is None and not held) or (
            wanted is not None and None not in held.values() and wanted + sum(held.values()) <= 80
        )
