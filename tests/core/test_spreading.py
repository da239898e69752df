"""On which hosts equal requests would be, one after the other."""

from __future__ import annotations

from genvx.core.placing.spreading import spread
from genvx.core.requests.requirements import Requirements
from genvx.testing import FakeHost


def hosts(**devices):
    return {name: FakeHost(name, number).look() for name, number in devices.items()}


def test_requests_are_spread_over_what_the_hosts_have():
    seen = hosts(a=3, b=2, c=1)
    assert sorted(spread(Requirements(gpus=2), seen, 10)) == ["a", "b"]
    assert sorted(spread(Requirements(gpus=1), seen, 10)) == ["a", "a", "a", "b", "b", "c"]
    assert len(spread(Requirements(gpus=1), seen, 4)) == 4
    assert spread(Requirements(gpus=4), seen, 10) == ()


def test_shares_of_a_device_are_counted_until_its_memory_is_used_up():
    assert spread(Requirements(gpus=1, memory=30 << 30), hosts(a=1), 10) == ("a", "a")
