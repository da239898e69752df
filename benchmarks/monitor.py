"""M1, M2: rounds of a monitor over 1,000 hosts of 8 GPUs, and its history after a day of them."""

from __future__ import annotations

import os
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceProcess, DeviceUsage, Driver, Sensors
from genvx.fleet.ask import HostGroup
from genvx.testing import FakeHost
from genvx.watching import historyusage
from genvx.watching.board import Board
from genvx.watching.history import hours
from genvx.watching.history.readings import Reading, pack
from genvx.watching.history.recorder import Recorder
from genvx.watching.monitor import Monitor
from genvx.watching.usage import By

if TYPE_CHECKING:
    from collections.abc import Callable

_HOSTS, _DEVICES, _EVERY = sized(1000, 4), 8, 15
_DAY = sized(24, 2) * 3600
# Rounds before memory is looked at: the first ones fill what is kept of each host.
_WARM = sized(20, 1)
_LEASES_PER_DEVICE = 4
_LOOKS = 50


def run(rounds: int) -> Table:
    """rounds: of M1."""
    with tempfile.TemporaryDirectory(prefix="genvx-bench-", dir="/var/tmp") as directory:
        cpu, grown = _rounds(Path(directory) / "rounds.db", rounds)
        size, slowest = _day(Path(directory) / "day.db")
    rows = [
        ["CPU of a round beyond the questions, with one scrape", f"{cpu:.2f} s"],
        ["memory gained after the first rounds", f"{grown:.0f} MiB"],
        ["file after a day", f"{size:.0f} MiB"],
        ["`usage --since 24h`, the best of 5 of the slowest --by", f"{slowest:.2f} s"],
    ]
    return Table(
        (f"{_HOSTS:,} hosts of {_DEVICES} GPUs", ""),
        rows,
        [
            verdict("M1", "CPU of a round of a monitor", cpu, 1, " s"),
            verdict("M1", "memory gained over the rounds", grown, 20, " MiB"),
            verdict("M2", "file after a day", size, 300, " MiB"),
            verdict("M2", "usage of a day", slowest, 1, " s"),
        ],
    )


class _Host(FakeHost):
    """A host whose GPUs are busy, each in another way at each look."""

    def __init__(self, number: int) -> None:
        super().__init__(f"node{number}", 0)
        self._number = number
        self._chance = random.Random(number)
        self._made = _snapshots(number, self._chance)
        self._at = 0

    def snapshot(self, *, holders: bool = False, sensors: bool = False) -> Snapshot:
        self._at += 1
        found = self._made[self._at % len(self._made)]
        # Fresh values, as they come from the wire: nothing that was worked out is kept.
        fields = {name: getattr(found, name) for name in Snapshot.__match_args__}
        fields["boottime_ns"] = 10**15 + self._at * _EVERY * 10**9
        return Snapshot(**fields)


def _snapshots(number: int, chance: random.Random) -> list[Snapshot]:
    devices = tuple(
        Device(f"GPU-{number:04d}-aaaa-bbbb-cccc-{i}", i, "NVIDIA A100-SXM4-80GB", 80 << 30)
        for i in range(_DEVICES)
    )
    leases = tuple(
        Lease(
            (device.uuid,),
            None,
            id=f"{number:04x}{i}",
            owner=Owner(1000 + number % 50, f"user{number % 50}"),
            environment_id=f"{number:07x}{i}",
            name="train",
            boot_id="b",
            since_ns=10**14,
        )
        for i, device in enumerate(devices)
        if i != 7
    )
    return [
        Snapshot(
            f"node{number}",
            "1",
            "b",
            0,
            Driver("550.1"),
            devices,
            {device.uuid: _usage(number, chance) for device in devices},
            leases,
        )
        for _ in range(4)
    ]


def _usage(number: int, chance: random.Random) -> DeviceUsage:
    busy = chance.randrange(60, 101)
    process = DeviceProcess(1, 1000 + number % 50, "u", "python train.py", 70 << 30, True, busy)
    sensors = Sensors(
        chance.randrange(250_000, 400_000), chance.randrange(50, 80), 1410, 1593, 0, 0
    )
    return DeviceUsage(
        memory_used=71 << 30, utilization=busy, processes=(process,), sensors=sensors
    )


def _rounds(path: Path, rounds: int) -> tuple[float, float]:
    """The median of the CPU seconds of a round beyond those of the questions; MiB of memory that it
    gained.
    """
    hosts = [_Host(number) for number in range(_HOSTS)]
    group = HostGroup(hosts, fanout=128)
    recorder = Recorder(path, _EVERY, print)
    board = Board(len(hosts), 3600)
    monitor = Monitor(group, board, _EVERY, recorder=recorder, publish=board.page)
    bare = statistics.median(_cpu(lambda: group.ask(lambda host: host.snapshot())) for _ in "12345")
    spent, before = [], 0.0
    for number in range(_WARM + rounds):
        if number == _WARM:
            before = _memory()
        spent.append(_cpu(monitor.round))
    recorder.close()
    return statistics.median(spent) - bare, _memory() - before


def _cpu(act: Callable[[], object]) -> float:
    begin = time.process_time()
    act()
    return time.process_time() - begin


def _memory() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / (1 << 20)


def _day(path: Path) -> tuple[float, float]:
    """MiB of the history of a day, and the seconds that the slowest usage of it takes."""
    now = time.time_ns() / 1e9
    begin = now - _DAY
    Recorder(path, _EVERY, print).close()
    chance = random.Random(1)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN")
    _leases(connection, chance, begin, now)
    ids = range(1, _HOSTS * _DEVICES + 1)
    layout = hours.layout_id(connection, ids)
    # Each look is packed by itself, so these few differ in nothing that counts from a day of them.
    looks = [
        pack(
            [
                Reading(chance.randrange(101), chance.randrange(5120), chance.randrange(60, 400))
                for _ in ids
            ]
        )
        for _ in range(_LOOKS)
    ]
    for number in range(_DAY // _EVERY):
        row = (begin + number * _EVERY, layout, looks[number % _LOOKS])
        connection.execute("INSERT INTO look VALUES (?, ?, ?)", row)
    hours.summarize(connection, now)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    slowest = 0.0
    for by in By:
        times = []
        for _ in "12345":
            started = time.perf_counter()
            historyusage.usage_of(path, by, begin, now, group_of=lambda user: user)
            times.append(time.perf_counter() - started)
        slowest = max(slowest, min(times))
    return os.stat(path).st_size / (1 << 20), slowest


def _leases(
    connection: sqlite3.Connection, chance: random.Random, begin: float, now: float
) -> None:
    hold = 0
    connection.execute("INSERT INTO watch VALUES (1, ?, ?, ?)", (begin, now, _EVERY))
    for host in range(1, _HOSTS + 1):
        connection.execute("INSERT INTO host VALUES (?, ?, ?)", (host, f"node{host}", now))
        for place in range(_DEVICES):
            device = (host - 1) * _DEVICES + place + 1
            connection.execute(
                "INSERT INTO device VALUES (?, ?, ?, ?, ?, ?, 1)",
                (device, host, f"GPU-{device}", str(place), "NVIDIA A100-SXM4-80GB", 80 << 30),
            )
            length = _DAY / _LEASES_PER_DEVICE
            for number in range(_LEASES_PER_DEVICE):
                hold += 1
                first, last = begin + number * length, begin + (number + 1) * length - 60
                user = chance.randrange(300)
                connection.execute(
                    "INSERT INTO hold VALUES (?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
                    (hold, device, f"{hold:08x}", user, f"user{user}", "", first, last, last + 15),
                )
                for hour in range(int(first // 3600), int(last // 3600) + 1):
                    connection.execute(
                        "INSERT INTO use VALUES (?, ?, 3600, ?, 100)",
                        (hour, hold, chance.randrange(3600)),
                    )
