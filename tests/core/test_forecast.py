"""On which host a request waits: a table of cases, each with the reason why that host is first."""

from __future__ import annotations

import math

import pytest

from genvx.core.requests.requirements import Requirements, Strategy
from genvx.core.runs.forecast import Outlook, outlook, soonest
from genvx.core.usage import DeviceProcess, DeviceUsage
from genvx.core.value import replace
from tests.core.test_queue import NOW, device, host, lease, ticket

TWO, FOUR = tuple(map(device, range(2))), tuple(map(device, range(4)))


def until(seconds, each):
    return replace(each, expires_ns=NOW + seconds * 10**9)


def full(*devices, **more):
    return host(*devices, leases=(lease(9, *range(len(devices))),), **more)


def ends_in(seconds, *devices, **more):
    return host(*devices, leases=(until(seconds, lease(9, *range(len(devices)))),), **more)


@pytest.mark.parametrize(
    ("why", "wanted", "hosts", "order"),
    [
        ("room now", 2, {"a": full(*TWO), "b": host(*FOUR)}, "ba"),
        ("never there", 2, {"a": full(device(0)), "b": full(*TWO)}, "b"),
        ("sooner over", 2, {"a": ends_in(3600, *TWO), "b": ends_in(60, *TWO)}, "ba"),
        ("an end is known", 2, {"a": full(*TWO), "b": ends_in(9**6, *TWO)}, "ba"),
        (
            "the line takes what ends first",
            2,
            {"a": ends_in(60, *TWO, tickets=(ticket(1, 2),)), "b": ends_in(3600, *TWO)},
            "ba",
        ),
        (
            "a line that leaves enough does not matter",
            1,
            {"a": ends_in(60, *TWO, tickets=(ticket(1, 1),)), "b": ends_in(3600, *TWO)},
            "ab",
        ),
        ("shorter line", 2, {"a": full(*TWO, tickets=(ticket(1, 2),)), "b": full(*TWO)}, "ba"),
        (
            "who does not attend is not counted",
            2,
            {"a": full(*TWO, tickets=(ticket(1, 2, seen=0),)), "b": full(*TWO)},
            "ab",
        ),
        ("fewer are missing", 2, {"a": full(*TWO), "b": host(*TWO, leases=(lease(9, 0),))}, "ba"),
        ("equal: the order of the fleet", 2, {"a": full(*TWO), "b": full(*TWO)}, "ab"),
        ("equal: the small host fits", 2, {"a": full(*FOUR), "b": full(*TWO)}, "ba"),
    ],
)
def test_a_request_waits_where_it_starts_soonest(why, wanted, hosts, order):
    assert "".join(soonest(Requirements(wanted), hosts)) == order, why


def test_among_equal_hosts_the_strategy_of_the_request_decides():
    hosts = {"a": full(*TWO), "b": full(*FOUR)}
    for strategy, order in ((Strategy.PACK, "ab"), (Strategy.SPREAD, "ba")):
        assert "".join(soonest(Requirements(1, strategy=strategy), hosts)) == order


def test_an_outlook_says_when_how_many_are_before_and_what_is_missing():
    assert outlook(Requirements(2), host(*TWO)) == Outlook(0, 0, 0)
    assert outlook(Requirements(3), host(*TWO)) is None
    held = (until(60, lease(8, 0)), until(90, lease(9, 1)))
    assert outlook(Requirements(2), host(*TWO, leases=held)) == Outlook(90, 0, 2)
    assert outlook(Requirements(1), host(*TWO, leases=held)) == Outlook(60, 0, 1)
    line = (ticket(1, 2),)
    assert outlook(Requirements(1), full(*TWO, tickets=line)) == Outlook(math.inf, 1, 1)


def test_processes_of_a_holder_end_with_its_lease_and_those_of_others_do_not():
    """What uses a GPU without a lease has no end that anybody knows."""
    theirs = DeviceUsage(processes=(DeviceProcess(5, 7, "eve", "x", 1 << 30, True),))
    others = DeviceUsage(processes=(DeviceProcess(5, 8, "mallory", "x", 1 << 30, True),))
    for usage, seconds in ((theirs, 60), (others, math.inf)):
        found = outlook(Requirements(2), replace(ends_in(60, *TWO), usage={"GPU-0": usage}))
        assert found == Outlook(seconds, 0, 2)
