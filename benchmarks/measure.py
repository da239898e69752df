"""Processes measured whole: wall, CPU and peak memory, children included, by the kernel."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.form import sized


@dataclass(frozen=True)
class Sample:
    """One run. wall, cpu: seconds; peak: KiB of the largest process; code: its exit code."""

    wall: float
    cpu: float
    peak: int
    code: int
    output: bytes = b""


# A small process in between: a peak that is inherited through fork and exec would be that of
# this program. Its own, some 9 MiB, is the least that can be told.
_METER = """
import json, os, sys, time
begin = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.perf_counter() - begin
with open(sys.argv[1], "w") as told:
    code = os.waitstatus_to_exitcode(status)
    json.dump([wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, code], told)
"""


def measured(
    command: Sequence[str], *, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> Sample:
    """Run a command to its end. What it starts and waits for counts as its own."""
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        with open(f"{directory}/output", "w+b") as output:
            subprocess.run(
                [sys.executable, "-I", "-S", "-c", _METER, f"{directory}/told", *command],
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                check=True,
            )
            output.seek(0)
            printed = output.read()
        with open(f"{directory}/told", encoding="ascii") as told:
            wall, cpu, peak, code = json.load(told)
    return Sample(wall, cpu, peak, code, printed)


@dataclass
class Series:
    """Samples of one contender; medians."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def wall(self) -> float:
        return statistics.median(sample.wall for sample in self.samples)

    @property
    def cpu(self) -> float:
        return statistics.median(sample.cpu for sample in self.samples)

    @property
    def peak(self) -> float:
        return statistics.median(sample.peak for sample in self.samples)


def side_by_side(
    contenders: Mapping[str, Callable[[], Sample]],
    rounds: int,
    right: Callable[[str, Sample], bool] = lambda name, sample: sample.code == 0,
) -> dict[str, Series]:
    """Run every contender once a round, in a new order each round: what disturbs the machine
    disturbs all alike.

    right: whether a sample did what it should. One that did not ends the benchmark: what a failure
    costs is no figure.
    """
    series = {name: Series() for name in contenders}
    names = list(contenders)
    # The first round warms caches up.
    for number in range(sized(0, 1), rounds + 1):
        random.Random(number).shuffle(names)
        for name in names:
            sample = contenders[name]()
            if not right(name, sample):
                shown = sample.output[-600:].decode("utf-8", "replace")
                raise SystemExit(f"{name}: not what was asked (exit code {sample.code}): {shown}")
            if number:
                series[name].samples.append(sample)
    return series
