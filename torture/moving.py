"""F2: root provisions a machine that is in use, so its leases move to another place."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import random
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from genvx.cli.verbs.setup import admin
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.state import paths
from torture import ground
from torture.hammer import lines, rival
from torture.oracle import UNITS, Oracle, prepare
from torture.trial import Outcome, Trial, until, while_time

_RIVALS = 6


def moving(trial: Trial) -> Outcome:
    outcome, counts = Outcome(), collections.Counter[str]()
    ground.warm(trial.place)
    turns = trial.size(5, 150)
    for turn in range(turns):
        place = ground.open_to_all(trial.place / f"turn{turn}")
        with _machine(place):
            _move(outcome, counts, place, partial(trial.chance, turn))
        if outcome.enough:
            break
    outcome.seen.append(f"{turns} times, {counts['granted']:,} grants, {counts['double']} double")
    return outcome


@contextlib.contextmanager
def _machine(place: Path) -> Iterator[None]:
    """The usual paths of a machine, elsewhere."""
    before = paths.USUAL
    paths.USUAL = paths.Places(
        provisioned=str(place / "new"),
        unprovisioned=str(ground.open_to_all(place / "old")),
        tmpfiles=str(place / "nowhere" / "genvx.conf"),
    )
    try:
        yield
    finally:
        paths.USUAL = before


def _move(
    outcome: Outcome,
    counts: collections.Counter[str],
    place: Path,
    chance: partial[random.Random],
) -> None:
    variables = {"GENVX_SIMULATE": ground.SIMULATED}
    here = LocalHost(environ=variables)
    oracle = str(ground.open_to_all(place / "oracle"))
    prepare(oracle, (device.uuid for device in here.snapshot().devices))
    reads, writes = os.pipe()

    def keep() -> None:
        ground.many_descriptors()
        held, claims = LocalHost(environ=variables).acquire(Ask(Requirements(2))), Oracle(oracle)
        assert all(claims.claim(device.uuid, UNITS) for device in held.grant.devices)
        signal.pause()

    keeper = ground.fork(keep, ground.USERS[0])
    until(lambda: here.snapshot().leases)
    rivals = [
        ground.fork(partial(rival, chance(number), variables, oracle, writes, amends=False), uid)
        for number, uid in zip(range(_RIVALS), ground.USERS * _RIVALS, strict=False)
    ]

    def listen(seconds: float) -> None:
        for _ in while_time(seconds):
            for line in lines(reads):
                counts[line.partition(" ")[0]] += 1
                if not line.startswith(("granted", "busy")):
                    outcome.violated(line)

    try:
        listen(0.1 + 0.1 * chance("before").random())
        _provision(force=True)
        listen(0.2)
        outcome.check(not _settled(), "the old place is left while somebody holds GPUs there")
        ground.kill(keeper)
        # The rivals go on: what each of them held in the old place is given back in a moment.
        left = until(lambda: _provision() or listen(0.01) or _settled(), 10)
        outcome.check(left, "the old place is never left")
        listen(0.1)
    finally:
        for pid in [keeper, *rivals]:
            ground.kill(pid)
        os.close(writes)
        os.close(reads)
    free = until(lambda: len(here.snapshot().available) == 8, 10)
    outcome.check(free, "leases outlived their holders")
    here.close()


def _provision(*, force: bool = False) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        admin.provision(force=force)


def _settled() -> bool:
    return os.path.exists(os.path.join(paths.USUAL.provisioned, paths.SETTLED))
