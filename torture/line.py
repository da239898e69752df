"""F19: the hammer on several hosts, with waiters and gangs, killed at any moment.

The hosts are state directories on this machine: real stores, locks and lines, without SSH (F12 has
that). Whoever waits looks fifty times as often as usual, so that more happens.
"""

from __future__ import annotations

import collections
import os
import random
import time
from functools import partial

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import NoCapacity
from genvx.fleet import gang
from genvx.fleet.fleet import Fleet
from genvx.fleet.host import Hold
from genvx.fleet.line import wait_for_room
from genvx.local import waiting
from genvx.local.host import LocalHost
from torture import ground
from torture.hammer import lines
from torture.oracle import UNITS, Oracle, prepare
from torture.trial import Outcome, Trial, until, while_time

_HOSTS, _GPUS = 4, 4
_TENTH = 8 << 30  # of an A100-80GB
_WANTED = (Requirements(1), Requirements(2), Requirements(3), Requirements(1, 4 * _TENTH))
_BETWEEN_KILLS = 0.1
_LOOK = 0.02


def line(trial: Trial) -> Outcome:
    """F19."""
    outcome, counts = Outcome(), collections.Counter[str]()
    ground.warm(trial.place)
    oracle = ground.open_to_all(trial.place / "oracle")
    environs = []
    for number in range(_HOSTS):
        (trial.place / f"host{number}").mkdir(mode=0o755)
        variables = ground.provisioned(trial.place / f"host{number}" / "state")
        environs.append({**variables, "GENVX_SIMULATE": f"{_GPUS}xA100-80GB"})
    for environ in environs:
        uuids = [device.uuid for device in LocalHost(environ=environ).snapshot().devices]
        prepare(str(oracle), iter(uuids))
    users = ground.USERS if ground.root() else (os.geteuid(),)
    count, seconds = trial.size(10, 24), trial.size(5, 90)
    chance = trial.chance("kill")
    reads, writes = os.pipe()
    rivals: dict[int, int] = {}

    def start(uid: int, number: int) -> None:
        act = partial(_rival, trial.chance(number), environs, str(oracle), writes)
        rivals[ground.fork(act, uid)] = uid

    for number in range(count):
        start(users[number % len(users)], number)
    next_kill, number = 0.5, count
    try:
        for passed in while_time(seconds):
            for told in lines(reads):
                counts[told.partition(" ")[0]] += 1
                if told.startswith(("double", "raised")):
                    outcome.violated(told)
            if outcome.enough:
                break
            if passed >= next_kill:
                next_kill = passed + chance.random() * 2 * _BETWEEN_KILLS
                pid = chance.choice(list(rivals))
                ground.kill(pid)
                counts["kills"] += 1
                number += 1
                start(rivals.pop(pid), number)
    finally:
        for pid in rivals:
            ground.kill(pid)
        os.close(writes)
        os.close(reads)
    for environ in environs:
        _nothing_left(outcome, environ, users)
    for kind in ("acquired", "waited", "gang"):
        outcome.at_least(counts[kind], 1, f"times {kind}")
    outcome.seen.append(
        f"{counts['acquired']:,} grants, {counts['waited']:,} after waiting, {counts['gang']:,} "
        f"gangs, {counts['kills']:,} kills, {counts['double']} double"
    )
    return outcome


def _rival(chance: random.Random, environs: list[dict[str, str]], oracle: str, told: int) -> None:
    ground.many_descriptors()
    waiting.LOOK = _LOOK
    hosts = [LocalHost(f"h{number}", environ=environ) for number, environ in enumerate(environs)]
    chance.shuffle(hosts)
    fleet, claims = Fleet(hosts), Oracle(oracle)

    def tell(text: str) -> None:
        os.write(told, f"{text[:400]}\n".encode())

    while True:
        wanted = chance.choice(_WANTED)
        kind = chance.choice(("acquired", "waited", "waited", "gang"))
        try:
            holds = _take(chance, fleet, kind, wanted)
        except NoCapacity:
            tell("busy")
            time.sleep(chance.random() * 0.01)
            continue
        except Exception as error:
            tell(f"raised {type(error).__name__}: {error}")
            continue
        units = UNITS if wanted.memory is None else wanted.memory // _TENTH
        for hold in holds:
            for device in hold.grant.devices:
                if not claims.claim(device.uuid, units):
                    tell(f"double {device.uuid} by pid {os.getpid()}, {kind}")
        tell(kind)
        time.sleep(chance.random() * 0.02)
        claims.give_back()
        for hold in holds:
            hold.release()


def _take(chance: random.Random, fleet: Fleet, kind: str, wanted: Requirements) -> list[Hold]:
    patience = chance.uniform(0.05, 3)
    if kind == "gang":
        nodes = chance.choice((2, 3))
        patient = chance.choice((None, patience))
        found = gang.take(fleet, Ask(wanted, name="gang", patience=patient), nodes)
        return [hold for _, hold in found.members]
    if kind == "waited":
        return [wait_for_room(fleet, Ask(wanted, name="waiter", patience=patience))[1]]
    return [fleet.first_with_room(wanted, lambda host: host.acquire(Ask(wanted, name="rival")))]


def _nothing_left(outcome: Outcome, environ: dict[str, str], users: tuple[int, ...]) -> None:
    """Everybody is dead: nothing is leased, nobody stands in line, all can be had."""
    here = LocalHost(environ=environ)
    fine = until(lambda: not here.snapshot().leases and not here.snapshot().tickets, 5)
    left = here.snapshot()
    outcome.check(fine, f"{len(left.leases)} leases and {len(left.tickets)} tickets are stranded")
    here.close()

    def take_all() -> None:
        LocalHost(environ=environ).acquire(Ask(Requirements(_GPUS))).release()

    for uid in users:
        code = os.waitstatus_to_exitcode(os.waitpid(ground.fork(take_all, uid), 0)[1])
        outcome.check(code == 0, f"user {uid} cannot have all devices afterwards")
    files = [name for _, _, names in os.walk(environ["GENVX_STATE_DIR"]) for name in names]
    files = [name for name in files if name.endswith((".lease", ".ticket", ".tmp"))]
    outcome.check(not files, f"{len(files)} files are left, such as {files[:1]}")
