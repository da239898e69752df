"""Many names in few words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genvx.core.requests.ranges import folded, ranges
from genvx.fleet.hosts.hostnames import parse_names


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ("", ""),
        ("3", "3"),
        ("0 1", "0, 1"),
        ("0 1 2 3 5 7 8", "0-3, 5, 7, 8"),
        ("3:0 3:1 3:2 4:3", "3:0-3:2, 4:3"),
    ],
)
def test_neighbours_are_a_range(labels, shown):
    assert ranges(labels.split()) == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("a b", "a, b"),
        ("gpu-1 gpu-2 gpu-3 gpu-5", "gpu-[1-3,5]"),
        ("gpu09.lab gpu10.lab x", "gpu[09-10].lab, x"),
        ("gpu9 gpu10", "gpu[9-10]"),
    ],
)
def test_hosts_are_folded(names, shown):
    assert folded(names.split()) == shown


@given(st.lists(st.from_regex(r"gpu-?[0-9]{1,3}(\.lab)?", fullmatch=True), min_size=1, unique=True))
def test_what_is_folded_names_the_same_hosts(names):
    assert sorted(spec.name for spec in parse_names(folded(names))) == sorted(names)
