"""F16: another user locks whatever can be read, while shells open the files of their leases."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from pathlib import Path

from benchmarks.terminals import readable
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.granting import joining
from genvx.local.host import LocalHost
from torture import ground
from torture.trial import Outcome, Trial

_READ_LOCK = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)


def locked_openings(trial: Trial) -> Outcome:
    outcome = Outcome()
    ground.warm(trial.place)
    variables = ground.provisioned(trial.place / "state")
    turns = trial.size(20, 2000)
    leases = trial.place / "state" / "leases"
    neighbour = ground.fork(lambda: _lock_all(leases), ground.STRANGER)
    # After that fork: the neighbour would keep the pipe open, and its end never be read.
    told, tells = os.pipe()
    shell = ground.fork(lambda: _activate(variables, turns, tells), ground.USERS[0])
    os.close(tells)
    said, answers = "", list[str]()
    try:
        while readable(told, 30):
            part = os.read(told, 4096).decode()
            if not part:
                break
            said += part
            *whole, _ = said.split("\n")
            for answer in whole:
                outcome.check(answer == "held", answer)
            said = said.rpartition("\n")[2]
            answers += whole
    finally:
        ground.kill(shell)
        ground.kill(neighbour)
        os.close(told)
    outcome.check(len(answers) == turns, f"{len(answers)} of {turns} shells")
    errors = len(answers) - answers.count("held")
    outcome.seen.append(f"{turns:,} times, {errors} errors")
    return outcome


def _activate(variables: dict[str, str], turns: int, tells: int) -> None:
    """What bash and zsh do, with the usual umask."""
    os.umask(0o022)
    here = LocalHost(environ=variables)
    for _ in range(turns):
        try:
            path = here.store.prepare()
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            time.sleep(0.005)
            first = here.acquire(Ask(Requirements(1)))
            joining.join(
                here, first.grant.environment_id, command="sh", through=descriptor
            ).release()
            first.release()
            os.close(descriptor)
            os.write(tells, b"held\n")
        except Exception as error:
            os.write(tells, f"refused: {type(error).__name__}: {error}\n".encode())


def _lock_all(leases: Path) -> None:
    kept: list[int] = []
    while True:
        for directory in leases.iterdir():
            with contextlib.suppress(OSError):
                for name in os.listdir(directory):
                    with contextlib.suppress(OSError):
                        descriptor = os.open(directory / name, os.O_RDONLY | os.O_NONBLOCK)
                        kept.append(descriptor)
                        # Which of a lease that is held fails.
                        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _READ_LOCK)
        while len(kept) > 100:
            os.close(kept.pop(0))
