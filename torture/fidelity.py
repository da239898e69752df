"""S3: a tree that is odd in every way, pushed to a host and pulled from it, is what it was."""

from __future__ import annotations

import shutil
from pathlib import Path

from torture import walker
from torture.journeys import Journeys, rsync_finds
from torture.trial import Outcome, Trial

_SPARE = 4 << 30


def fidelity(trial: Trial) -> Outcome:
    outcome = Outcome()
    journeys = Journeys(trial.place)
    # Some names, modes and times come by chance.
    rounds = trial.size(1, 10)
    files = 0
    try:
        for number in range(rounds):
            place = trial.place / f"round{number}"
            large = trial.size(64 << 20, 5 << 30 if number == 0 and _has_room(place) else 64 << 20)
            walker.plant(place / "made", trial.chance(number), large=large)
            files += _round(outcome, journeys, place)
            shutil.rmtree(place, ignore_errors=True)
            if outcome.enough:
                break
    finally:
        journeys.end()
    asked = "rsync -ainc finds nothing" if shutil.which("rsync") else "no rsync to ask"
    outcome.seen.append(
        f"{files:,} files, directories and links there and back, "
        f"{len(outcome.violations)} differ; {asked}"
    )
    return outcome


def _has_room(place: Path) -> bool:
    return shutil.disk_usage(place.parent).free > _SPARE


def _round(outcome: Outcome, journeys: Journeys, place: Path) -> int:
    made = place / "made"
    project = journeys.gathered(made)
    with journeys.host() as host:
        host.send_tree(project)
        there = journeys.copied(project.recorded.tree, place / "there")
        _compare(outcome, made, there, "pushed")
        again: list[int] = []
        host.send_tree(project, lambda done, total: again.append(total))
        outcome.check(not again, f"pushed again, {again} bytes were sent")
        run = journeys.started(project)
        back = place / "back"
        journeys.pulled(host, run, back)
        _compare(outcome, made, back, "pulled")
        came = journeys.pulled(host, run, back)
        outcome.check(came == (0, 0), f"pulled again, {came} bytes and files came")
    shutil.rmtree(journeys.home.runs / run)
    return len(walker.picture(made))


def _compare(outcome: Outcome, made: Path, got: Path, how: str) -> None:
    for line in walker.differences(made, got)[:3]:
        outcome.violated(f"{how}: {line}")
    for line in rsync_finds(made, got)[:3]:
        outcome.violated(f"{how}: rsync finds {line!r}")
    before, after = walker.room(made), walker.room(got)
    outcome.check(after <= before + (1 << 20), f"{how}: {after} bytes on the disk, were {before}")
