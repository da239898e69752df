"""What Prometheus is told: in its own form, of whom, and for how long."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from genvx.errors import HostUnreachable
from genvx.watching import packaged
from genvx.watching.board import Board
from genvx.watching.families import FAMILIES
from genvx.watching.hostmetrics import MOST_DEVICES, host_samples
from genvx.watching.idleness import Idleness
from genvx.watching.sight import Sight
from tests.watching.played import (
    HOUR,
    RAZ,
    SAM,
    START,
    gpu,
    lease,
    look,
    process,
    ticket,
    usage,
)

HOSTILE = 'a"b\\c\nd\te\x1b[31m\u202e\ud800{}'


def board(hour=0.0, **more):
    return Board(2, 600, clock=lambda: START + hour * HOUR, **more)


def told(page):
    """Each sample of a page: its name and its labels, with its value."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.page().decode())
        for sample in family.samples
    }


def of(samples, name, /, **labels):
    """The value of the one sample that has these labels, among others."""
    (value,) = (
        value
        for (each, *found), value in samples.items()
        if each == name and labels.items() <= dict(found).items()
    )
    return value


def busy_host(hour=0.0):
    return look(
        "a",
        hour,
        [gpu(0), gpu(1)],
        [lease("aaaa", RAZ, "0", -2, name="train")],
        [ticket("bbbb", SAM, -1)],
        usage={"GPU-0": usage(40, process(RAZ, 40)), "GPU-1": usage(90, process(SAM, 90))},
    )


def test_a_host_is_told_in_base_units():
    page = board()
    page.show(busy_host())
    found = told(page)
    assert of(found, "genvx_host_up", host="a") == 1
    assert of(found, "genvx_device_utilization_ratio", device="0") == 0.4
    assert of(found, "genvx_device_memory_bytes", uuid="GPU-0") == 80 << 30
    assert of(found, "genvx_device_power_watts", device="0") == 250.5
    assert of(found, "genvx_device_clock_hertz", device="0", clock="sm") == 1.41e9
    assert of(found, "genvx_device_ecc_errors_total", device="0", type="corrected") == 3
    assert of(found, "genvx_device_state", device="0", state="leased") == 1
    assert of(found, "genvx_device_foreign_processes", device="1") == 1
    assert of(found, "genvx_host_line_oldest_seconds", host="a") == HOUR
    assert of(found, "genvx_host_oldest_environment_seconds", host="a") == 2 * HOUR


def test_users_and_environments_are_told_only_on_request():
    page, open_page = board(), board(label_users=True)
    page.show(busy_host())
    open_page.show(busy_host())
    for word in ("raz", "sam", "aaaa", "train"):
        assert f'"{word}"' not in page.page().decode()
    who = {"host": "a", "environment": "aaaa", "user": "raz", "name": "train"}
    found = told(open_page)
    assert of(found, "genvx_environment_age_seconds", **who) == 2 * HOUR
    assert of(found, "genvx_device_owner_info", **who, device="0") == 1


def test_any_text_of_a_host_is_a_label_and_nothing_else():
    page = board(label_users=True)
    hostile = lease("aaaa", RAZ, "0", 0, name=HOSTILE)
    page.show(look("a", 0, [gpu(0, HOSTILE)], [hostile], hostname=HOSTILE))
    expected = HOSTILE.replace("\ud800", "?")
    found = told(page)
    assert of(found, "genvx_device_info", model=expected) == 1
    assert of(found, "genvx_host_info", hostname=expected) == 1
    assert of(found, "genvx_environment_devices", name=expected) == 1


def test_what_a_host_had_vanishes_when_it_fails_and_when_nobody_looks():
    page = board()
    page.show(busy_host())
    page.show(Sight("a", START, 15.0, error=HostUnreachable("no answer", kind="timeout")))
    found = told(page)
    assert of(found, "genvx_host_up", host="a") == 0
    assert of(found, "genvx_host_errors_total", host="a", kind="timeout") == 1
    assert not any(name.startswith("genvx_device_") for name, *_ in found)
    later = board(hour=1)
    later.show(busy_host())
    assert not any(name.startswith("genvx_host_") for name, *_ in told(later))


def test_a_host_with_too_many_devices_is_cut_and_says_so():
    page = board()
    page.show(look("a", 0, [gpu(number) for number in range(MOST_DEVICES + 5)]))
    found = told(page)
    assert sum(name == "genvx_device_info" for name, *_ in found) == MOST_DEVICES
    assert of(found, "genvx_host_omitted", host="a") == 5


def test_an_environment_is_idle_from_its_last_use_on():
    idleness = Idleness()
    held = [lease("aaaa", RAZ, "0", 0)]
    hours = []
    for hour, busy in enumerate((0, 0, 30, 0, 0, None)):
        sight = look("a", hour, [gpu(0)], held, usage={"GPU-0": usage(busy)})
        (seconds,) = idleness.take(sight).values()
        hours.append(seconds / HOUR)
    assert hours == [0, 1, 0, 1, 2, 0]


def test_on_a_shared_device_each_is_idle_by_itself():
    shares = [
        lease("aaaa", RAZ, "0", 0, memory=20 << 30),
        lease("bbbb", SAM, "0", 0, memory=20 << 30),
    ]
    idleness = Idleness()
    for hour in (0, 1):
        now = {"GPU-0": usage(50, process(RAZ, 50), process(SAM, 0))}
        idle = idleness.take(look("a", hour, [gpu(0)], shares, usage=now))
    assert idle == {(RAZ.uid, "aaaa"): 0, (SAM.uid, "bbbb"): HOUR}


def test_every_metric_is_told_in_some_world():
    page = board(label_users=True)
    page.show(busy_host())
    page.show(Sight("b", START, 1.0, error=HostUnreachable("no")))
    page.end_round(1.0, answered=True, history=True)
    text = page.page().decode()
    assert set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)) == {f.name for f in FAMILIES}
    assert host_samples(busy_host(), {}, label_users=True)


@pytest.mark.parametrize("text", [packaged.alerts(), packaged.dashboard()])
def test_rules_and_dashboard_know_only_metrics_that_are_there(text):
    named = set(re.findall(r"\bgenvx_[a-z_]+", text))
    assert named
    assert named <= {family.name for family in FAMILIES}


def test_the_dashboard_has_panels_that_do_not_collide():
    panels = json.loads(packaged.dashboard())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"].values()) for panel in panels]
    assert len(set(places)) == len(places)
