"""The use of the last day: from a history, or as the page has seen it."""

from __future__ import annotations

import json

import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.testing import FakeHost
from genvx.watching.daylong import DAY
from genvx.watching.history.recorder import Recorder
from genvx.watching.historyday import last_day
from genvx.watching.web.seen import Seen
from tests.helpers import until
from tests.watching.paged import paged
from tests.watching.played import ANN, HOUR, RAZ, SAM, START, gpu, lease, look, process, usage

EVERY = 300
SHARE = 20 << 30


def at(hour):
    """Host a at an hour of the day that ends with hour 24: it is down from 6 to 8."""
    leases = [lease("dddd", RAZ, "2", -50)]  # since long before the day
    busy = {"GPU-0": usage(0), "GPU-1": usage(0), "GPU-2": usage(None)}
    if 2 <= hour <= 12:
        leases.append(lease("aaaa", RAZ, "0", 2))
        busy["GPU-0"] = usage(50, process(RAZ, 50))
    if 10 <= hour <= 20:
        leases.append(lease("bbbb", SAM, "1", 10, memory=SHARE))
        leases.append(lease("cccc", ANN, "1", 10, memory=4 * SHARE))  # more than there is
    slice_ = gpu(2, "NVIDIA A100-SXM4-80GB MIG 1g.10gb", instance=0, parent="GPU-9")
    return look("a", hour, [gpu(0), gpu(1), slice_], leases, usage=busy)


def other(hour):
    return look("b", hour, [gpu(7)], [lease("eeee", ANN, "7", -1)], usage={"GPU-7": usage(100)})


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    path = tmp_path_factory.mktemp("day") / "history.db"
    recorder = Recorder(path, EVERY, print)
    for number in range(24 * HOUR // EVERY + 1):
        hour = number * EVERY / HOUR
        if 15 < hour < 16:
            continue  # no monitor
        sights = [other(hour)] if 6 < hour < 8 else [at(hour), other(hour)]
        assert recorder.take(sights, {})
    recorder.close()
    return path


def hourly(values, hour):
    """The value of a step within an hour."""
    return values[int(hour * HOUR // 600) - 1]


def test_a_day_has_the_shares_that_were_played(history):
    day = last_day(history, START + DAY, frozenset({"a"}))
    assert (day.source, day.since, day.step) == ("history", START + 600, 600)
    assert set(day.hosts) == {"a"}
    curve, all_ = day.hosts["a"], 2 + 1 / 7
    expected = {
        1: (1 / 7 / all_, 0),
        4: ((1 + 1 / 7) / all_, 0.25),
        7: (None, None),
        11: (1, 0.25),
        15.5: (None, None),
        18: ((1 + 1 / 7) / all_, 0),
        22: (1 / 7 / all_, 0),
    }
    found = {hour: (hourly(curve.leased, hour), hourly(curve.busy, hour)) for hour in expected}
    assert found == {
        hour: tuple(None if each is None else pytest.approx(each) for each in pair)
        for hour, pair in expected.items()
    }
    assert curve == day.total
    assert list(day.users) == ["raz", "ann", "sam"]
    assert hourly(day.users["sam"], 11) == pytest.approx(0.25)
    assert hourly(day.users["ann"], 11) == pytest.approx(1)
    assert hourly(day.users["raz"], 15.5) is None


def test_all_hosts_together_are_those_that_were_seen(history):
    day = last_day(history, START + DAY)
    # Of host a nothing is known then; b has one GPU, all the time.
    assert hourly(day.total.leased, 7) == 1
    assert hourly(day.total.leased, 1) == pytest.approx((1 + 1 / 7) / (3 + 1 / 7))
    assert hourly(day.total.busy, 4) == pytest.approx(1.5 / 3)
    assert last_day(history, START + 3 * DAY) is None
    assert last_day(history, START + DAY, frozenset({"nowhere"})) is None


def test_what_was_seen_fits_in_few_steps_however_long_it_takes():
    seen = Seen()
    assert seen.day() is None
    for number in range(0, 30 * HOUR, 30):
        seen.take(at(number / HOUR) if number < 24 * HOUR else other(number / HOUR))
        if number == 300:
            assert seen.day().step == 10
    day = seen.day()
    assert (day.source, day.step) == ("page", 600)
    assert len(day.total.leased) == 144
    assert day.since == START + 6 * HOUR
    curve = day.hosts["a"]
    assert curve.leased[round((11.5 - 6) * 6)] == pytest.approx(1)
    assert curve.busy[round((11.5 - 6) * 6)] == pytest.approx(0.25)
    assert curve.leased[-1] is None
    assert day.users["ann"][-1] == 1


def test_the_page_is_told_the_day_and_where_it_is_from(history):
    host = FakeHost("a", 4)
    host.reserve(Ask(Requirements(gpus=1)))
    with paged([host], history=history) as served:

        def day():
            return json.loads(served.fetched("api/usage")[2])

        # The history is of long ago: what the page itself sees is told, and that it is that.
        until(lambda: day()["source"] == "page", "the first look")
        found = day()
        assert found["total"]["leased_percent"] == [25]
        assert found["hosts"][0]["host"] == "a"
        assert found["users"] == [{"user": "me", "gpus": [1.0]}]
        assert found["note"] == ""
