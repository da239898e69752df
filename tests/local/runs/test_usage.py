"""What is said of the resources that a run has used."""

from __future__ import annotations

import errno

import pytest

from genvx.core.device import Device
from genvx.core.usage import DeviceProcess, DeviceUsage
from genvx.local import processes
from genvx.local.runs import usage
from genvx.local.runs.usage import Meter
from tests.helpers import until
from tests.local.runs.test_runs import asked, ends_as, shell


class Host:
    """A machine whose driver says what a test wants."""

    def __init__(self) -> None:
        self.uses = {}
        self.hanging = frozenset()
        self.asked = 0

    def use_of(self, devices):
        self.asked += 1
        return self.uses

    def questions(self):
        return self.hanging


DEVICES = (Device("GPU-a", 0, "A100", 80 << 30), Device("GPU-b", 1, "A100", 80 << 30))
US, OTHERS = 4_000_001, 4_000_002


@pytest.fixture
def driver(monkeypatch):
    """A driver, and a clock that a test moves."""
    host = Host()
    host.clock = 0.0
    monkeypatch.setattr(usage, "monotonic", lambda: host.clock)
    monkeypatch.setattr(usage.tree, "descendants", lambda root, spared: [US])
    return host


def on(*processes):
    found = tuple(
        DeviceProcess(pid, uid, "raz", "train", memory, True, utilization)
        for pid, uid, memory, utilization in processes
    )
    return DeviceUsage(processes=found)


def sampled(host, meter, seconds, **uses):
    host.clock += seconds
    host.uses = {f"GPU-{name}": use for name, use in uses.items()}
    meter.sample()


def test_only_its_own_processes_count_and_a_long_time_counts_for_more_than_a_short_one(driver):
    meter = Meter(driver, DEVICES)
    sampled(driver, meter, 10, a=on((US, 0, 5 << 30, 100), (OTHERS, 0, 50 << 30, 90)), b=on())
    sampled(driver, meter, 30, a=on((US, 0, 3 << 30, 20)), b=on((US, 0, 1 << 30, 20)))
    found = meter.usage()
    assert found.gpu_memory == 5 << 30
    assert found.gpu_utilization == round((50 * 10 + 20 * 30) / 40)


@pytest.mark.parametrize(
    "use",
    [
        DeviceUsage(processes=None),
        on((12345, None, 5 << 30, 100)),  # a pid of another namespace: it may be ours
        on((US, 0, None, None)),
    ],
)
def test_what_the_driver_does_not_say_is_unknown_and_not_zero(driver, use):
    meter = Meter(driver, DEVICES[:1])
    sampled(driver, meter, 10, a=use)
    assert (meter.usage().gpu_memory, meter.usage().gpu_utilization) == (None, None)


def test_a_driver_that_hangs_is_not_asked_again(driver):
    meter = Meter(driver, DEVICES)
    sampled(driver, meter, 10)
    driver.hanging = frozenset({7})
    sampled(driver, meter, 100)
    assert driver.asked == 1


def test_where_no_descriptor_is_free_a_sample_is_missing_and_the_run_goes_on(driver, monkeypatch):
    def fail(root, spared):
        raise OSError(errno.ENFILE, "Too many open files in system")

    monkeypatch.setattr(usage.tree, "descendants", fail)
    meter = Meter(driver, DEVICES)
    sampled(driver, meter, 100.0, a=on((US, 0, 1, 50)))
    assert (meter.usage().gpu_memory, meter.due > 0) == (None, True)


def test_it_is_sampled_early_and_later_once_a_minute(driver):
    meter = Meter(driver, DEVICES)
    waits = []
    while driver.clock < 1000:
        waits.append(round(meter.due))
        sampled(driver, meter, meter.due)
    assert waits[:7] == [2, 2, 4, 8, 16, 32, 60]
    assert set(waits[7:]) == {60}


def test_a_run_shows_the_memory_of_all_its_processes_and_its_use_of_gpus(
    start, catalog, short_tmp, monkeypatch
):
    pid, go = short_tmp / "pid", short_tmp / "go"
    busy = f"2xA100-80GB,process={pid}:20G:60%@0"
    monkeypatch.setenv("GENVX_SIMULATE", busy)
    loop = f'while not os.path.exists("{go}"): time.sleep(0.1)'
    code = f'import os, time\nx = b"x" * (50 << 20)\n{loop}'
    line = f"echo $$ > {pid}; python3 -S -c '{code}' & python3 -S -c '{code}' & wait"
    run = start(shell(line))
    until(lambda: _age(run) > 2 * usage._FIRST)
    go.touch()
    found = ends_as(catalog, run, "completed").state.end.usage
    assert found.memory > 100 << 20
    assert (found.gpu_memory, found.gpu_utilization) == (20 << 30, 60)


def _age(run):
    return (processes.boottime_ns() - run.state.since.boottime_ns) / 1e9


def test_usage_is_that_of_the_last_attempt(start, catalog):
    burn = "python3 -S -c 'import time\nwhile time.process_time() < 1: pass'"
    run = start(shell(f"[ -e tried ] || {{ touch tried; {burn}; exit 1; }}", retries=1))
    used = ends_as(catalog, run, "completed").state.end.usage
    assert used.user + used.system < 0.5


def test_the_memory_of_the_supervisor_is_not_that_of_the_command(start, catalog):
    """Until exec, a command is a copy of its supervisor, and the kernel counts that."""
    run = start(asked("true"))
    assert ends_as(catalog, run, "completed").state.end.usage.memory is None
