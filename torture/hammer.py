"""F1, F2, F16: many processes of many users at one store, killed at any moment.

Every process takes devices from the real store, claims them from the oracle, gives the claims back,
and then the devices. A claim that fails is a device that was granted twice.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.terminals import readable
from genvx.core.leases.grant import Grant
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import NoCapacity
from genvx.local.host import LocalHost
from torture import ground
from torture.oracle import UNITS, Oracle, prepare
from torture.trial import Outcome, Trial, until, while_time

_TENTH = 8 << 30  # of an A100-80GB
_WANTED = (
    Requirements(1),
    Requirements(1),
    Requirements(2),
    Requirements(4),
    Requirements(1, 3 * _TENTH),
    Requirements(2, 4 * _TENTH),
)
_BETWEEN_KILLS = 0.02


def hammer(trial: Trial) -> Outcome:
    """F1."""
    return _hammer(trial, ground.provisioned(trial.place / "state"), least=30_000)


def without_lock(trial: Trial) -> Outcome:
    """F2, the lock file gone: as where this Python has no filelock."""

    def no_filelock() -> None:
        sys.modules["filelock"] = None  # type: ignore[assignment]  # importing it now fails

    return _hammer(trial, ground.provisioned(trial.place / "state"), before=no_filelock)


def replaced_lock(trial: Trial) -> Outcome:
    """F2, a hostile user replacing the lock file all the time, where nobody is root."""
    variables = ground.unprovisioned(trial.place / "state")
    squatter = ground.fork(
        lambda: _squat(trial, Path(variables["GENVX_STATE_DIR"])), ground.STRANGER
    )
    try:
        until(lambda: os.path.lexists(f"{variables['GENVX_STATE_DIR']}/.genvx.lock"))
        return _hammer(trial, variables)
    finally:
        ground.kill(squatter)


def _squat(trial: Trial, root: Path) -> None:
    os.umask(0)
    path, chance = root / ".genvx.lock", trial.chance("squat")

    def locked() -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # and kept: it is never closed, but for the limit
        if descriptor > 200:
            os.closerange(100, descriptor + 1)

    shapes: tuple[Callable[[], object], ...] = (
        locked,
        lambda: os.mkfifo(path, 0o666),
        lambda: os.symlink("/etc/passwd", path),
        lambda: os.symlink("nowhere", path),
        lambda: os.mkdir(path),
        lambda: path.touch(0o600),
    )
    while True:
        with contextlib.suppress(OSError):
            (os.rmdir if path.is_dir() and not path.is_symlink() else os.unlink)(path)
        with contextlib.suppress(OSError):
            chance.choice(shapes)()
        time.sleep(chance.random() * 0.005)


def _hammer(
    trial: Trial,
    variables: dict[str, str],
    *,
    before: Callable[[], object] | None = None,
    least: int = 0,
) -> Outcome:
    """before: called in each process. least: grants that the full form must reach; without it they
    attach and detach, too, which takes its time.
    """
    outcome, counts = Outcome(), collections.Counter[str]()
    ground.warm(trial.place)
    oracle = ground.open_to_all(trial.place / "oracle")
    prepare(str(oracle), (d.uuid for d in LocalHost(environ=variables).snapshot().devices))
    users = ground.USERS if ground.root() else (os.geteuid(),)
    count, seconds = trial.size(8, 16), trial.size(3, 60)
    chance = trial.chance("kill")
    reads, writes = os.pipe()
    started = 0

    def start(uid: int) -> int:
        nonlocal started
        started += 1
        number = started

        def act() -> None:
            if before is not None:
                before()
            try:
                rival(trial.chance(number), variables, str(oracle), writes, amends=not least)
            except Exception as error:
                os.write(writes, f"died of {type(error).__name__}: {error}\n".encode()[:400])

        return ground.fork(act, uid)

    rivals = {
        start(users[number % len(users)]): users[number % len(users)] for number in range(count)
    }
    next_kill = 0.3
    try:
        for passed in while_time(seconds):
            for line in lines(reads):
                counts[line.partition(" ")[0]] += 1
                if not line.startswith(("granted", "busy")):
                    outcome.violated(line)
            if outcome.enough:
                break
            if passed >= next_kill:
                next_kill = passed + chance.random() * 2 * _BETWEEN_KILLS
                pid = chance.choice(list(rivals))
                ground.kill(pid)
                counts["kills"] += 1
                uid = rivals.pop(pid)
                rivals[start(uid)] = uid
    finally:
        for pid in rivals:
            ground.kill(pid)
        os.close(writes)
        os.close(reads)
    _all_free(outcome, variables, users)
    if trial.full:
        outcome.at_least(counts["granted"], least, "grants")
    outcome.seen.append(
        f"{counts['granted']:,} grants, {counts['busy']:,} refusals, {counts['kills']:,} kills, "
        f"{counts['double']} double"
    )
    return outcome


def lines(descriptor: int) -> Iterator[str]:
    """What the rivals have told by now; each tells whole lines in one write."""
    if readable(descriptor, 0.005):
        yield from os.read(descriptor, 1 << 16).decode().splitlines()


def rival(
    chance: random.Random, variables: dict[str, str], oracle: str, told: int, *, amends: bool
) -> None:
    """Takes devices, claims them from the oracle and gives all back, for ever; tells each line."""
    ground.many_descriptors()
    os.umask(chance.choice((0o022, 0o077, 0)))
    here, claims = LocalHost(environ=variables), Oracle(oracle)

    def tell(line: str) -> None:
        os.write(told, f"{line[:400]}\n".encode())

    while True:
        wanted = chance.choice(_WANTED)
        try:
            held = here.acquire(Ask(wanted, name="rival"))
        except NoCapacity:
            tell("busy")
            time.sleep(chance.random() * 0.004)
            continue
        except Exception as error:
            tell(f"raised {type(error).__name__}: {error}")
            continue
        units = UNITS if wanted.memory is None else wanted.memory // _TENTH
        for device in held.grant.devices:
            if not claims.claim(device.uuid, units):
                tell(f"double {device.uuid} by pid {os.getpid()}")
        tell("granted")
        holds = [held]
        if amends and chance.random() < 0.1:
            _amend(here, claims, held.grant, chance.choice(_WANTED), tell)
        if chance.random() < 0.25:
            # A second terminal joins, and the first one leaves.
            holds.append(here.join(held.grant.environment_id))
            holds.pop(0).release()
        time.sleep(chance.random() * 0.006)
        claims.give_back()
        for each in holds:
            each.release()


def _amend(
    here: LocalHost,
    claims: Oracle,
    grant: Grant,
    wanted: Requirements,
    tell: Callable[[str], None],
) -> None:
    """Attach devices to an environment, and detach one."""
    try:
        after = here.attach(grant.environment_id, wanted)
    except NoCapacity:
        tell("busy")
        return
    units = UNITS if wanted.memory is None else wanted.memory // _TENTH
    for device in after.devices:
        if device not in grant.devices and not claims.claim(device.uuid, units):
            tell(f"double {device.uuid} by pid {os.getpid()}, attached")
    claims.give_back(after.devices[0].uuid)
    here.detach(grant.environment_id, [after.devices[0].label])
    tell("granted by attaching")


def _all_free(outcome: Outcome, variables: dict[str, str], users: tuple[int, ...]) -> None:
    """Everybody is dead: nothing is leased, all can be had, and nothing is left lying about."""
    here = LocalHost(environ=variables)
    leaked = here.snapshot().leases
    outcome.check(not leaked, f"{len(leaked)} leases outlived their holders")
    devices = len(here.snapshot().devices)

    def take_all() -> None:
        LocalHost(environ=variables).acquire(Ask(Requirements(devices))).release()

    for uid in users:
        code = os.waitstatus_to_exitcode(os.waitpid(ground.fork(take_all, uid), 0)[1])
        outcome.check(code == 0, f"user {uid} cannot have all devices afterwards")
    here.close()
    left = [
        path
        for path in Path(variables["GENVX_STATE_DIR"]).rglob("*")
        if path.name.endswith((".lease", ".ticket", ".tmp"))
    ]
    outcome.check(not left, f"{len(left)} files are left, such as {left[:1]}")


def first_use(trial: Trial) -> Outcome:
    """F16: two users make their directories and the lock file in a fresh one at the same moment."""
    outcome = Outcome()
    ground.warm(trial.place)
    turns = trial.size(40, 1000)
    users = ground.USERS[:2] if ground.root() else (os.geteuid(),) * 2
    for turn in range(turns):
        variables = ground.unprovisioned(trial.place / f"state{turn}")
        variables["GENVX_SIMULATE"] = "2xA100-80GB"
        gate, opened = os.pipe()
        told, tells = os.pipe()
        first = partial(_first, variables, gate, opened, tells)
        users_at_once = [ground.fork(first, uid) for uid in users]
        os.close(gate)
        os.close(tells)
        os.close(opened)  # which lets both go
        # Each keeps what it got until it is killed: they must have got different ones.
        lines: list[str] = []
        while len(lines) < len(users) and readable(told, 20):
            data = os.read(told, 4096).decode()
            lines += data.splitlines()
            if not data:
                break
        for pid in users_at_once:
            ground.kill(pid)
        os.close(told)
        devices = [line for line in lines if line.startswith("SIM-")]
        outcome.check(len(devices) == 2 == len(set(devices)), f"turn {turn}: {lines}")
        if outcome.enough:
            break
    outcome.seen.append(f"{turns:,} times, {len(outcome.violations)} errors")
    return outcome


def _first(variables: dict[str, str], gate: int, opened: int, tells: int) -> None:
    os.close(opened)
    os.umask(0o077)
    os.read(gate, 1)
    try:
        held = LocalHost(environ=variables).acquire(Ask(Requirements(1)))
    except Exception as error:
        os.write(tells, f"{type(error).__name__}: {error}\n".encode())
        return
    words = [*held.grant.notes, held.grant.devices[0].uuid]
    os.write(tells, "".join(f"{word}\n" for word in words).encode())
    signal.pause()
