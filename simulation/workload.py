"""Jobs to replay: made up, or from a file."""

from __future__ import annotations

import csv
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Of jobs of this many devices: their share, and the median of their durations in seconds.
_SIZES = ((1, 0.55, 2400.0), (2, 0.18, 3600.0), (4, 0.15, 5400.0), (8, 0.12, 7200.0))
_SPREAD = 1.4  # of the logarithm of durations: most are short, few take days
_LONGEST = 4 * 86400.0
_USERS = 200
_SWING = 0.5


@dataclass(frozen=True)
class Job:
    """Times in seconds. limit: what its user says that it takes at most."""

    number: int
    arrival: float
    gpus: int
    duration: float
    user: str
    limit: float


def made_up(count: int, devices: int, load: float, seed: int) -> list[Job]:
    """Jobs that come at random and would keep `load` of the devices busy, if none had to wait."""
    chance = random.Random(seed)
    sizes = [(gpus, median) for gpus, _, median in _SIZES]
    shares = [share for _, share, _ in _SIZES]
    drawn = []
    for _ in range(count):
        ((gpus, median),) = chance.choices(sizes, shares)
        drawn.append((gpus, min(_LONGEST, chance.lognormvariate(0, _SPREAD) * median + 30)))
    work = sum(gpus * duration for gpus, duration in drawn)
    rate = count * devices * load / work
    jobs, now = [], 0.0
    for number, (gpus, duration) in enumerate(drawn):
        # By day more come than by night.
        now += chance.expovariate(rate * (1 + _SWING))
        while chance.random() > (1 + _SWING * math.sin(now * math.tau / 86400)) / (1 + _SWING):
            now += chance.expovariate(rate * (1 + _SWING))
        user = f"user{min(_USERS, int(chance.paretovariate(0.7)))}"
        limit = duration * chance.uniform(1.1, 5)
        jobs.append(Job(number, now, gpus, duration, user, limit))
    return jobs


def from_file(path: Path) -> list[Job]:
    """Jobs of a CSV file with the columns arrival, gpus, duration, user, and perhaps limit.

    Raises:
        SystemExit: a line that is none; it is named.
    """
    jobs = []
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file)):
            try:
                duration = float(row["duration"])
                job = Job(
                    number,
                    float(row["arrival"]),
                    int(row["gpus"]),
                    duration,
                    row["user"],
                    float(row.get("limit") or duration),
                )
                if min(job.arrival, job.gpus, job.limit - duration) < 0 or duration <= 0:
                    raise ValueError("negative")
            except (KeyError, TypeError, ValueError) as error:
                raise SystemExit(f"{path}, line {number + 2}: not a job: {error}") from None
            jobs.append(job)
    return sorted(jobs, key=lambda job: job.arrival)


def biggest(jobs: Sequence[Job]) -> int:
    return max((job.gpus for job in jobs), default=0)
