"""F5, F6: malformed input, in great number, to everything that reads what somebody else wrote.

Right is: a value, or an error of genvx that is one printable line; within a second; and nothing on
the screen that a terminal would obey.
"""

from __future__ import annotations

import collections
import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.state import locks
from torture import ground
from torture.cases import TOKENS, VALUES, edited, random_edits, with_value
from torture.readers import readers
from torture.trial import Outcome, Trial

_PATIENCE = 1.0


class Hang(BaseException):
    """Input that keeps its reader busy."""


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    def ring(number: int, frame: object) -> None:
        raise Hang(f"busy for more than {_PATIENCE:g} s")

    # Of our own time, for the machine may be busy with others; and again and again, for it may ring
    # where Python drops exceptions, as in what the garbage collector calls.
    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, _PATIENCE, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


# F5


def leases(trial: Trial) -> Outcome:
    """F5: lease files with anything in them and any name, held live by their owner, in scans."""
    outcome = Outcome()
    variables = ground.provisioned(trial.place / "state")
    here = LocalHost(environ=variables)
    victim = here.acquire(Ask(Requirements(2), name="victim"))
    (path,) = (trial.place / "state").rglob("*.lease")
    well_formed = path.read_bytes().replace(b'"uid":%d' % os.geteuid(), b'"uid":%d' % _stranger())
    directory = trial.place / "state" / "leases" / str(_stranger())
    directory.mkdir(mode=0o755)
    if ground.root():
        os.chown(directory, _stranger(), _stranger())
    chance, wanted, done = trial.chance(), trial.size(4_000, 100_000), 0
    while done < wanted and not outcome.enough:
        held = [_deep(directory, well_formed)]
        held += [_hostile(directory, well_formed, chance) for _ in range(199)]
        done += len(held)
        try:
            with _in_time():
                snapshot = here.snapshot()
        except (Exception, Hang) as error:
            outcome.violated(f"a scan ended in {type(error).__name__}: {error}")
        else:
            key = (os.geteuid(), victim.grant.environment_id)
            seen = [lease for lease in snapshot.leases if lease.key == key]
            outcome.check(len(seen) == 1, "the victim's lease is not seen")
            outcome.check(all(line.isprintable() for line in snapshot.odd), "odd is not printable")
        for descriptor in held:
            os.close(descriptor)
        for name in os.listdir(directory):
            (os.rmdir if (directory / name).is_dir() else os.unlink)(directory / name)
    victim.release()
    outcome.seen.append(f"{done:,} files, {len(outcome.violations)} crashes")
    return outcome


def _stranger() -> int:
    return ground.STRANGER if ground.root() else os.geteuid()


def _deep(directory: Path, well_formed: bytes) -> int:
    """A lease file whose JSON is nested deeper than its reader goes; chance seldom makes one."""
    name = os.urandom(8).hex()
    first, colon, _ = well_formed.partition(b":")
    return _held(directory, f"{name}.lease".encode(), first + colon + b"[" * 3000)


def _hostile(directory: Path, well_formed: bytes, chance: Any) -> int:
    """A lease file of a hostile user whose lock is held; the descriptor that holds it."""
    name = os.urandom(8).hex()
    data = well_formed.replace(json.loads(well_formed)["id"].encode(), name.encode())
    if chance.random() < 0.4:
        record = json.loads(data)
        data = json.dumps(
            with_value(record, (chance.choice(list(record)),), chance.choice(VALUES))
        ).encode()
    if chance.random() < 0.2:
        data = chance.choice(TOKENS)  # and nothing else, or few of them come to be parsed
    elif chance.random() < 0.8:
        data = edited(data, random_edits(chance))
    spelled = os.fsencode(f"{name}.lease")
    if chance.random() < 0.1:
        spelled = edited(spelled, random_edits(chance)).replace(b"/", b"").replace(b"\0", b"")
        spelled = spelled[:200] or b"x.lease"
    return _held(directory, spelled, data, huge=chance.random() < 0.05)


def _held(directory: Path, name: bytes, data: bytes, *, huge: bool = False) -> int:
    """Write a hostile user's lease file and hold its lock; return the descriptor that holds it."""
    path = os.path.join(os.fsencode(directory), name)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        return os.open(os.devnull, os.O_RDONLY)  # "." and the like are no names
    if ground.root():
        os.fchown(descriptor, ground.STRANGER, ground.STRANGER)
    os.write(descriptor, data)
    if huge:
        os.ftruncate(descriptor, 1 << 40)
    locks.hold(descriptor)
    return descriptor


# Many small rounds: Hypothesis remembers what it has tried, and slows down.
_ROUND = 5_000


@dataclass(frozen=True)
class _Round:
    """Some cases for one reader. thorough: look for the smallest that fails."""

    kind: str
    seed: int
    count: int
    place: Path
    thorough: bool


def inputs(trial: Trial) -> Outcome:
    """F6: hostfiles, what people type, leases, calls, frames, ssh_config, known_hosts."""
    outcome, tried = Outcome(), collections.Counter[str]()
    rounds = []
    for kind, reader in readers(trial.place).items():
        wanted = trial.size(reader.many // 100, reader.many)
        for number, start in enumerate(range(0, wanted, _ROUND)):
            seed = trial.chance(kind, number).getrandbits(64)
            count = min(_ROUND, wanted - start)
            rounds.append(_Round(kind, seed, count, trial.place, Outcome.most > 1))
    with futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        works = {pool.submit(_try, each): each.kind for each in rounds}
        try:
            for work in futures.as_completed(works):
                count, line = work.result()
                tried[works[work]] += count
                outcome.check(not line, f"{works[work]}: {line}")
                if outcome.enough:
                    break
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if outcome.enough:
                # What they still try takes longer than all before, and interests nobody.
                for worker in multiprocessing.active_children():
                    worker.terminate()
    if not outcome.enough:
        few = [f"{kind} {tried[kind]:,}" for kind in tried if trial.full and tried[kind] < 100_000]
        outcome.seen.append(f"{sum(tried.values()):,} cases of {len(tried)} kinds")
        outcome.seen += [f"of these {', '.join(few)}"] * bool(few)
    outcome.seen.append(f"{len(outcome.violations)} crashes or hangs")
    return outcome


def guided(trial: Trial) -> Outcome:
    """F6: the same readers, by a fuzzer that follows which lines a case reaches."""
    outcome, runs = Outcome(), 0
    seconds = trial.size(3, 60)
    for kind in readers(trial.place):
        if kind == "ssh -G":
            continue  # it reads in another process, where there is nothing to follow
        words = [sys.executable, "-m", "torture.guided", kind, str(trial.place), str(seconds)]
        answer = subprocess.run(
            [*words, str(trial.seed)],
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        counted = re.findall(r"number_of_executed_units: *(\d+)", answer.stderr)
        runs += int(counted[0]) if counted else 0
        last = [
            line
            for line in (answer.stdout + answer.stderr).splitlines()
            if re.search("ERROR|Error: ", line)
        ]
        outcome.check(answer.returncode == 0 and counted, f"{kind}: {' '.join(last[:3])}")
    outcome.seen.append(f"{runs:,} cases, {len(outcome.violations)} crashes or hangs")
    return outcome


def _try(work: _Round) -> tuple[int, str]:
    """How many cases were tried, and what is wrong with one of them, if anything is."""
    place = Path(tempfile.mkdtemp(dir=work.place))
    reader, tried = readers(place)[work.kind], 0
    phases = [hypothesis.Phase.generate]
    if work.thorough:
        phases.append(hypothesis.Phase.shrink)  # for people; it takes minutes

    @hypothesis.seed(work.seed)
    @hypothesis.settings(
        max_examples=work.count,
        deadline=None,
        database=None,
        print_blob=False,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(reader.strategy)
    def attempt(case: Any) -> None:
        nonlocal tried
        tried += 1
        try:
            with _in_time():
                reader.feed(case)
        except (Exception, Hang) as error:
            raise AssertionError(f"{type(error).__name__}: {error}; of {case!r:.300}") from error

    try:
        attempt()
    except Exception as error:
        return tried, str(error)
    return tried, ""
