"""P9: choosing a host of a thousand, by core alone; fresh snapshots, as they come from the wire."""

from __future__ import annotations

import random
import statistics
import time

from benchmarks.form import sized
from benchmarks.report import Table, verdict
from genvx.core.device import Device
from genvx.core.leases.claim import Owner
from genvx.core.leases.lease import Lease
from genvx.core.line.queue import decide
from genvx.core.placing.ranking import rank
from genvx.core.requests.requirements import Requirements
from genvx.core.snapshot import Snapshot
from genvx.core.usage import DeviceUsage, Driver

_HOSTS, _DEVICES = sized(1000, 10), 8
_WAYS = ("XVVVSSSS",) * 4 + ("SSSSXVVV",) * 4
_REQUESTS = ("1", "4", "A100,H100:80G..:2", "8")


def run(rounds: int) -> Table:
    """Medians. Half of the devices are leased."""
    rows, longest = [], 0.0
    for text in _REQUESTS:
        wanted = Requirements.parse(text)
        times = [_choose(wanted, number) for number in range(rounds)]
        middle = statistics.median(times) * 1000
        longest = max(longest, middle)
        rows.append([f"`--gpus {text}`", f"{middle:.1f}"])
    return Table(
        ("request", "ms"),
        rows,
        [verdict("P9", "placement on 1,000 hosts of 8 devices", longest, 50, " ms")],
    )


def _choose(wanted: Requirements, seed: int) -> float:
    chance = random.Random(seed)
    hosts = {f"h{number}": _host(number, chance) for number in range(_HOSTS)}
    begin = time.perf_counter()
    ranked, _ = rank(wanted, hosts)
    if ranked:
        decide(wanted, hosts[ranked[0]])
    return time.perf_counter() - begin


def _host(number: int, chance: random.Random) -> Snapshot:
    devices = tuple(
        Device(f"GPU-{number}-{i}", i, "NVIDIA A100-SXM4-80GB", 80 << 30, topology=_WAYS[i])
        for i in range(_DEVICES)
    )
    usage = {device.uuid: DeviceUsage(memory_used=0, utilization=0) for device in devices}
    leases = tuple(
        Lease(
            (d.uuid,),
            None,
            id=f"{number:04x}{i}",
            owner=Owner(1000, "u"),
            environment_id=f"{number:04x}{i}",
            name="",
            boot_id="b",
            since_ns=0,
        )
        for i, d in enumerate(devices)
        if chance.random() < 0.5
    )
    return Snapshot(f"h{number}", "", "b", 0, Driver("1"), devices, usage, leases)
