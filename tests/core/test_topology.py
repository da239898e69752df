from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from genvx.core.device import Device
from genvx.core.placing.topology import WAYS, distance, neighbours


def devices(*rows):
    return [Device(f"GPU-{i}", i, "A100", 80 << 30, topology=row) for i, row in enumerate(rows)]


def indices(found):
    return sorted(device.index for device in found)


PAIRS = devices("XSVS", "SXSV", "VSXS", "SVSX")


def test_devices_with_nvlink_between_them_are_taken_together():
    assert indices(neighbours(PAIRS, 2, [])) == [0, 2]


def test_pairs_are_not_torn_for_one():
    """Of three left, the lonely one goes."""
    assert indices(neighbours([PAIRS[0], PAIRS[1], PAIRS[2]], 1, [])) == [1]


def test_company_draws_its_neighbour():
    assert indices(neighbours([PAIRS[0], PAIRS[1], PAIRS[3]], 1, [PAIRS[2]])) == [0]


def test_where_nothing_is_told_the_first_are_taken():
    assert indices(neighbours(devices("", "", ""), 2, [])) == [0, 1]


@st.composite
def hosts(draw):
    count = draw(st.integers(1, 7))
    ways = {pair: draw(st.sampled_from(WAYS)) for pair in itertools.combinations(range(count), 2)}
    rows = [
        "".join("X" if i == j else ways[min(i, j), max(i, j)] for j in range(count))
        for i in range(count)
    ]
    return devices(*rows)


def spread(some):
    return sum(distance(a, b) for a, b in itertools.combinations(some, 2))


@given(hosts(), st.integers(0, 8))
def test_no_other_set_of_that_many_is_nearer(found, count):
    chosen = neighbours(found, count, [])
    assert len(chosen) == min(count, len(found))
    assert all(spread(chosen) <= spread(o) for o in itertools.combinations(found, len(chosen)))


def test_of_many_devices_a_near_set_is_found_without_trying_all():
    """Two islands of sixteen: none of the sets that are chosen crosses."""
    rows = ["".join("V" if i // 16 == j // 16 else "S" for j in range(32)) for i in range(32)]
    assert len({d.index // 16 for d in neighbours(devices(*rows), 16, [])}) == 1
