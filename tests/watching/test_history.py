"""A history says who had what for how long; the oracle is a week that the tests have played."""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import pytest

from genvx.core.device import Device
from genvx.core.projects.project import Project
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import End, Moment, RunSpec
from genvx.core.runs.run import Usage as Used
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import Completed, Running, Waiting
from genvx.core.value import replace
from genvx.errors import InvalidInput, StateError
from genvx.watching.history.readings import Reading, pack, unpack
from genvx.watching.history.recorder import Recorder
from genvx.watching.history.schema import open_to_read
from genvx.watching.historyusage import usage_of
from genvx.watching.runusage import usage_of_runs
from genvx.watching.shares import weight_of
from genvx.watching.since import parse_since
from genvx.watching.usage import By
from tests.helpers import genvx_env
from tests.watching.played import (
    ANN,
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

EVERY = 600
SHARE = 20 << 30

# Leases of the week on host a: who, GPU, from and to which hour, how much of it, how busy. A lease
# is there at both of these moments, and looks are at every full ten minutes.
WEEK = (
    ("aaaa", RAZ, "0", 20, 28, None, 50),  # across midnight
    ("bbbb", SAM, "1", 0, 40, SHARE, 30),  # two shares of one GPU
    ("cccc", ANN, "1", 0, 40, 3 * SHARE, 10),
    ("dddd", RAZ, "0", 45, 65, None, 100),  # goes on while nobody looks
    ("eeee", SAM, "0", 66, 75, None, 0),  # ends while nobody looks
)
GAPS = ((50, 60), (70, 80))
END = 168


def at(hour):
    """What host a shows at an hour of the week."""
    there = [each for each in WEEK if each[3] <= hour <= each[4]]
    leases = [lease(e, who, gpus, begin, memory=m) for e, who, gpus, begin, _, m, _ in there]
    busy = {}
    for _, who, index, _, _, _, percent in there:
        total, processes = busy.get(f"GPU-{index}", (0, ()))
        busy[f"GPU-{index}"] = (total + percent, (*processes, process(who, percent)))
    now = {f"GPU-{n}": usage(*_flat(busy.get(f"GPU-{n}", (0, ())))) for n in (0, 1)}
    waiting = [ticket("ffff", ANN, 30)] if 30 <= hour <= 33 else []
    return look("a", hour, [gpu(0), gpu(1)], leases, waiting, usage=now)


def _flat(pair):
    return (pair[0], *pair[1])


def other(hour):
    """Host b has a MIG instance, on which raz works all week, and the same request in its line."""
    mine = [lease("abcd", RAZ, "0", -24)]
    waiting = [ticket("ffff", ANN, 30)] if 30 <= hour <= 33 else []
    slice_ = gpu(0, "NVIDIA A100-SXM4-80GB MIG 1g.10gb", instance=0, parent="GPU-9")
    return look("b", hour, [slice_], mine, waiting, usage={"GPU-0": usage(None)})


def run_of(environment, hours, project="nets"):
    began = Moment(round((START + hours * HOUR) * 1e9), 0)
    spec = RunSpec(
        environment,
        ("train",),
        Requirements(1),
        "m",
        "a",
        began,
        project=Project("0" * 64, project),
    )
    return RunInfo(spec, Running(began, ("GPU-0",), 1, 1))


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """The history of the week, written by two monitors, one after the other."""
    path = tmp_path_factory.mktemp("history") / "new" / "history.db"
    told = []
    recorder = Recorder(path, EVERY, told.append)
    runs = {"a": [run_of("dddd", 45)]}
    for number in range(END * HOUR // EVERY + 1):
        hour = number * EVERY / HOUR
        if number == 100 * HOUR // EVERY:
            recorder.close()
            recorder = Recorder(path, EVERY, told.append)
        if any(begin < hour < end for begin, end in GAPS):
            continue
        assert recorder.take([at(hour), other(hour)], runs)
        runs = {}
    recorder.close()
    assert told == []
    return path


def asked(path, by=By.USER, since=0.0, until=END, **more):
    report = usage_of(
        path,
        by,
        START + since * HOUR,
        START + until * HOUR,
        group_of=lambda user: "staff" if user == "raz" else "students",
        **more,
    )
    return {use.key: use for use in report.uses}, report


def close_to(number):
    return pytest.approx(number, abs=0.01)


def test_a_week_has_the_hours_that_were_played(week):
    uses, report = asked(week, hosts=frozenset({"a"}))
    raz, sam, ann = uses["raz"], uses["sam"], uses["ann"]
    assert (raz.leased, raz.busy) == (close_to(8 + 20), close_to(4 + 10))
    # Of the lease that ended while nobody looked, what was seen counts, and the rest is said.
    assert (sam.leased, sam.uncertain) == (close_to(10 + 4), close_to(10 + 1 / 6 / 4))
    assert (sam.busy, ann.busy) == (close_to(12), close_to(4))
    assert (ann.leased, ann.mean, ann.peak) == (close_to(30), close_to(10), 10)
    assert raz.mean == close_to(100 * 14 / 18)
    assert report.total.leased == close_to(72)
    assert sum(use.share for use in report.uses) == close_to(100)
    assert [use.key for use in report.uses] == ["ann", "raz", "sam"]


def test_a_request_that_waits_on_two_hosts_waits_once(week):
    uses, _ = asked(week)
    assert uses["ann"].waited == close_to(3 * HOUR)
    assert uses["raz"].waited is None
    by_host, _ = asked(week, By.HOST)
    assert by_host["a"].waited == by_host["b"].waited == close_to(3 * HOUR)


def test_a_time_that_begins_within_a_lease_counts_the_rest_of_it(week):
    uses, _ = asked(week, since=24, until=36, hosts=frozenset({"a"}))
    assert uses["raz"].leased == close_to(4)
    assert uses["raz"].busy == close_to(2)
    assert uses["sam"].leased == close_to(3)


@pytest.mark.parametrize(
    ("by", "hours"),
    [
        (By.GROUP, {"staff": 28 + 24, "students": 44}),
        (By.HOST, {"a": 72, "b": 24}),
        (By.MODEL, {"NVIDIA A100-SXM4-80GB": 72, "NVIDIA A100-SXM4-80GB MIG 1g.10gb": 24}),
        (By.PROJECT, {"nets": 20, "-": 76}),
        (By.NAME, {"-": 96}),
    ],
)
def test_hours_are_summed_up_by_what_is_asked(week, by, hours):
    uses, _ = asked(week, by)
    assert {key: use.leased for key, use in uses.items()} == {
        key: close_to(number) for key, number in hours.items()
    }


def test_what_is_not_known_of_a_device_is_not_called_idle(week):
    uses, _ = asked(week, By.HOST)
    assert uses["b"].busy is None
    assert uses["b"].mean is None


def test_the_last_day_is_kept_fine_and_the_week_by_the_hour(week):
    connection = open_to_read(week)
    (looks, oldest) = connection.execute("SELECT count(*), min(at) FROM look").fetchone()
    (hours,) = connection.execute("SELECT count(*) FROM hour").fetchone()
    connection.close()
    assert oldest >= START + (END - 26) * HOUR
    assert looks <= 26 * HOUR / EVERY
    # An hour in which nobody looked has none; the one that ends the week is not over.
    assert END - 20 <= hours <= END
    _, report = asked(week, since=0, until=48, hosts=frozenset({"a"}), hourly=True)
    known = dict(report.hourly)
    assert known[START // HOUR + 24] == close_to((50 + 40) / 2)
    assert known[START // HOUR + 42] == 0


def test_only_its_owner_reads_a_history(week):
    assert stat.S_IMODE(week.stat().st_mode) == 0o600
    assert stat.S_IMODE(week.parent.stat().st_mode) == 0o700


def test_a_second_monitor_is_refused(tmp_path):
    recorder = Recorder(tmp_path / "h.db", 15, print)
    with pytest.raises(StateError, match="another monitor writes"):
        Recorder(tmp_path / "h.db", 15, print)
    recorder.close()
    Recorder(tmp_path / "h.db", 15, print).close()


def _other_application(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()


def _newer(path):
    Recorder(path, 15, print).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_other_application, "is no history of genvx"),
        (_newer, "written by a newer genvx"),
        (lambda path: path.write_bytes(b"no database" * 100), "not a database"),
        (lambda path: path.mkdir(), "cannot write|is no file"),
        (lambda path: (path.touch(), path.chmod(0o622)), "others may write"),
        (lambda path: path.symlink_to("/etc/hostname"), "cannot write"),
    ],
)
def test_a_file_that_is_no_history_of_ours_is_refused_and_left_alone(tmp_path, make, why):
    path = tmp_path / "h.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StateError, match=why):
        Recorder(path, 15, print)
    assert not path.is_file() or path.read_bytes() == before


@pytest.mark.parametrize("step", [-3 * HOUR, 3 * HOUR], ids=["back", "forth"])
def test_a_clock_that_is_set_anew_changes_no_hours(tmp_path, step):
    """A lease of ten hours; in its fifth, somebody sets the clock of the monitor."""
    off = 0.0
    recorder = Recorder(tmp_path / "h.db", EVERY, print, offset=lambda: off)
    for number in range(12 * HOUR // EVERY + 1):
        hour = number * EVERY / HOUR
        off = step if hour >= 5 else 0.0
        there = [lease("aaaa", RAZ, "0", 1)] if 1 <= hour <= 11 else []
        waiting = [ticket("ffff", ANN, 2)] if 2 <= hour <= 8 else []
        seen = look("a", hour, [gpu(0)], there, waiting, usage={"GPU-0": usage(50 * len(there))})
        assert recorder.take([replace(seen, at=seen.at + off)], {})
    recorder.close()
    uses, report = asked(tmp_path / "h.db", since=-24, until=48)
    assert (uses["raz"].leased, uses["raz"].leases) == (close_to(10), 1)
    assert uses["raz"].busy == pytest.approx(5, abs=0.2)
    assert uses["ann"].waited == close_to(6 * HOUR)
    assert report.watched == close_to(12 * HOUR)


def test_a_day_on_which_clocks_change_begins_at_its_midnight(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        now = 1_793_000_000.0  # 2026-10-26
        begin, _ = parse_since("2026-10-25", now)
        end, _ = parse_since("2026-10-26", now)
        assert end - begin == 25 * HOUR
        begin, _ = parse_since("2026-03-29", now)
        end, _ = parse_since("2026-03-30", now)
        assert end - begin == 23 * HOUR
    finally:
        monkeypatch.undo()
        time.tzset()


WRITER = """\
import resource, sys
from pathlib import Path
from genvx.watching.history.recorder import Recorder
from tests.watching.played import RAZ, gpu, lease, look

recorder = Recorder(Path(sys.argv[1]), 15, lambda line: print("told:", line, flush=True))
limit = int(sys.argv[2])
devices = [gpu(number) for number in range(64)]
for number in range(int(sys.argv[3])):
    if limit and number == 20:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    if limit and number == 40:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    held = [lease(f"{number:04x}", RAZ, "0,1", number / 240)]
    print(number, recorder.take([look("a", number / 240, devices, held)], {}), flush=True)
recorder.close()
"""


def writer(path, *, limit=0, rounds=1_000_000):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(limit), str(rounds)],
        stdout=subprocess.PIPE,
        text=True,
        env=genvx_env(),
    )


def test_a_monitor_that_is_killed_leaves_every_round_that_it_has_written(tmp_path):
    path, written = tmp_path / "h.db", 0
    for kill in (1, 30, 90):
        with writer(path) as process:
            for _ in range(kill):
                assert process.stdout.readline()
            select.select([], [], [], random.uniform(0, 0.01))
            os.kill(process.pid, signal.SIGKILL)
            rest = process.stdout.read()
            written = max(written, kill + rest.count("\n"))
        connection = open_to_read(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (looks,) = connection.execute("SELECT count(*) FROM look").fetchone()
        connection.close()
        assert looks >= written


def test_a_full_disk_is_said_once_and_writing_goes_on_when_there_is_room(tmp_path):
    path = tmp_path / "h.db"
    with writer(path, limit=40_000, rounds=50) as process:
        lines = process.stdout.read().splitlines()
        assert process.wait() == 0
    told = [line for line in lines if line.startswith("told:")]
    assert ["cannot be written" in line for line in told] == [True, False]
    assert "is written again" in told[1]
    assert "39 False" in lines
    assert lines[-1] == "49 True"
    connection = open_to_read(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    open_ones = "SELECT environment FROM hold WHERE gone IS NULL"
    assert set(connection.execute(open_ones)) == {("0031",)}
    connection.close()


def test_a_host_that_makes_up_others_at_each_look_does_not_fill_the_disk(tmp_path):
    recorder = Recorder(tmp_path / "h.db", 15, print)
    for number in range(20):
        devices = [Device(f"GPU-{number * 1000 + each}", each, "x", 1 << 63) for each in range(300)]
        held = [
            lease(f"{number:04x}{each:04x}", SAM, str(number * 1000 + each), 0, memory=1 << 63)
            for each in range(100)
        ]
        mine = lease(f"{number:04x}ffff", RAZ, str(number * 1000), 0)
        assert recorder.take([look("a", number / 240, devices, [*held, mine])], {})
    recorder.close()
    connection = open_to_read(tmp_path / "h.db")
    assert connection.execute("SELECT count(*) FROM device").fetchone() == (4096,)
    of_users = "SELECT user, count(*) FROM hold GROUP BY user"
    # Whoever is honest is recorded beside them, while there are devices to be told of.
    assert dict(connection.execute(of_users)) == {"sam": 1024, "raz": 16}
    connection.close()


def test_readings_are_read_as_they_were_packed():
    readings = [Reading(0, 0, 0), Reading(), Reading(100, 5120, 700), Reading(254, 1 << 20, 90_000)]
    busy, memory, power = unpack(pack(readings), 4)
    assert list(busy) == [0, 0xFF, 100, 254]
    assert list(memory) == [0, 0xFFFF, 5120, 0xFFFE]
    assert list(power) == [0, 0xFFFF, 700, 0xFFFE]
    with pytest.raises(StateError, match="damaged"):
        unpack(pack(readings), 5)
    with pytest.raises(StateError, match="damaged"):
        unpack(b"nonsense", 4)


def test_an_instance_is_its_part_of_a_gpu():
    assert weight_of("NVIDIA A100 MIG 2g.20gb", instance=True) == 2 / 7
    assert weight_of("NVIDIA A30 MIG 1g.6gb", instance=True) == 1 / 4
    assert weight_of("NVIDIA A100-SXM4-80GB", instance=False) == 1


def test_without_a_monitor_the_records_of_runs_tell_what_they_know():
    moment = [Moment(round((START + hour * HOUR) * 1e9), hour * HOUR * 10**9) for hour in range(9)]
    done = run_of("aaaa", 0)
    end = End(moment[2], moment[6], code=0, usage=Used(gpu_utilization=25))
    fields = {name: getattr(done.spec, name) for name in RunSpec.__match_args__}
    waited = RunSpec(**{**fields, "patience": 60.0, "name": "net"})
    runs = [
        RunInfo(waited, Completed(moment[6], end)),
        RunInfo(RunSpec(**{**fields, "id": "bbbb"}), Running(moment[7], ("GPU-0",), 1, 1)),
        RunInfo(RunSpec(**{**fields, "id": "cccc"}), Waiting(moment[1], 1)),
    ]
    report = usage_of_runs(
        {"a": runs},
        By.NAME,
        START + HOUR,
        START + 8 * HOUR,
        user="raz",
        group_of=str,
    )
    uses = {use.key: use for use in report.uses}
    assert report.watched is None
    assert (uses["net"].leased, uses["net"].busy, uses["net"].waited) == (4, 1, HOUR)
    assert (uses["-"].leased, uses["-"].busy, uses["-"].leases) == (1, None, 2)


def test_since_is_a_time_ago_or_a_day():
    now = START + 36 * HOUR
    assert parse_since("24h", now) == (now - 24 * HOUR, now)
    begin, _ = parse_since("2024-10-04", now)
    assert abs(begin - START) <= 24 * HOUR
    for text in ("2024-02-30", "2999-01-01", "7", "yesterday", "-1d", ""):
        with pytest.raises(InvalidInput, match="--since"):
            parse_since(text, now)
