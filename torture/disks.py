"""F13: a state directory on a disk that is full, out of inodes, over quota, or read-only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genvx.local.host import LocalHost
from torture import ground
from torture.trial import Outcome, Trial, until


@dataclass(frozen=True)
class Trouble:
    """kind: the file system. word: what the line must say. spoil, mend: given its directory.

    spoil returns where the trouble is seen, if that is elsewhere.
    """

    what: str
    kind: str
    word: str
    spoil: Callable[[Path], Path | None]
    mend: Callable[[Path], object]
    options: str = ""


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def fill(directory: Path) -> None:
    """To the last byte."""
    for size in (1 << 20, 4096, 256, 1):
        number = 0
        with contextlib.suppress(OSError):
            while number < 4096:
                with open(directory / f"fill{size}-{number}", "xb") as file:
                    number += 1
                    while True:
                        os.write(file.fileno(), b"x" * size)


def _fill_inodes(directory: Path) -> None:
    (directory / "inodes").mkdir()
    with contextlib.suppress(OSError):
        for number in range(1 << 20):
            (directory / "inodes" / str(number)).touch()


def empty(directory: Path) -> None:
    for path in directory.glob("fill*"):
        path.unlink()
    shutil.rmtree(directory / "inodes", ignore_errors=True)


def _limit(directory: Path) -> None:
    _run("btrfs", "quota", "enable", directory)
    _run("btrfs", "qgroup", "limit", "1M", directory)
    fill(directory)


def _seal(directory: Path) -> Path:
    """A second view of it that nobody can write through: the first has writers, and stays."""
    view = directory.with_name(f"{directory.name}-sealed")
    view.mkdir()
    _run("mount", "--bind", directory, view)
    _run("mount", "-o", "remount,bind,ro", view)
    return view


def _unseal(directory: Path) -> None:
    _run("umount", directory.with_name(f"{directory.name}-sealed"))


TROUBLES = (
    Trouble("full", "tmpfs", "full", fill, empty),
    Trouble("out of inodes", "tmpfs", "inodes", _fill_inodes, empty, "nr_inodes=40"),
    Trouble("read-only", "tmpfs", "read-only", _seal, _unseal),
    Trouble("full", "ext4", "full", fill, empty),
    Trouble("out of inodes", "ext4", "inodes", _fill_inodes, empty),
    Trouble("read-only", "ext4", "read-only", _seal, _unseal),
    Trouble("over quota", "btrfs", "quota", _limit, empty),
)


def disks(trial: Trial) -> Outcome:
    """F13."""
    outcome = Outcome()
    tried = []
    for trouble in TROUBLES if trial.full else TROUBLES[:3]:
        if shutil.which(f"mkfs.{trouble.kind}") is None and trouble.kind != "tmpfs":
            outcome.seen.append(f"no mkfs.{trouble.kind}, so not {trouble.what}")
            continue
        directory = trial.place / f"{trouble.kind}-{trouble.what.replace(' ', '-')}"
        megabytes = 128 if trouble.kind == "btrfs" else 8
        with ground.mounted(trouble.kind, directory, megabytes, trouble.options) as mounted:
            _try(outcome, trouble, mounted)
        tried.append(f"{trouble.what} ({trouble.kind})")
    outcome.seen.append(f"{', '.join(tried)}: {len(outcome.violations)} violations")
    return outcome


def _try(outcome: Outcome, trouble: Trouble, directory: Path) -> None:
    where = f"{trouble.what} on {trouble.kind}"
    environ = ground.command_environ(ground.provisioned(directory / "state"))
    usual = environ["GENVX_STATE_DIR"]
    here = LocalHost(environ=dict(environ))

    def genvx(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ground.genvx(*arguments), env=environ, capture_output=True, text=True, check=False
        )

    def refused(*arguments: str) -> None:
        answer = genvx(*arguments)
        line = answer.stderr
        fine = answer.returncode == 6 and line.count("\n") == 1 and line[:-1].isprintable()
        outcome.check(fine, f"{where}: {arguments}: exit code {answer.returncode}: {line!r}")
        outcome.check(trouble.word in line, f"{where}: does not say why: {line!r}")

    holder = subprocess.Popen(
        ground.genvx("run", "-g", "2", "-n", "before", "--", "sleep", "600"),
        env=environ,
        start_new_session=True,
    )
    try:
        outcome.check(until(lambda: here.snapshot().leases), f"{where}: no lease before")
        view = trouble.spoil(directory)
        if view is not None:
            environ["GENVX_STATE_DIR"] = str(view / "state")
        for verb in ("status", "devices", "envs"):
            answer = genvx(verb)
            fine = (answer.returncode, answer.stderr) == (0, "")
            outcome.check(fine, f"{where}: {verb}: {answer.returncode} {answer.stderr!r}")
        outcome.check('"before"' in genvx("envs", "--json").stdout, f"{where}: a lease is lost")
        refused("run", "-g", "1", "--", "true")
        refused("activate", "-g", "1", "--", "true")
        if trouble.word == "read-only":
            refused("release", "before")
        doctor = genvx("doctor", "--json")
        outcome.check(json.loads(doctor.stdout), f"{where}: doctor: {doctor.stderr}")
        trouble.mend(directory)
        environ["GENVX_STATE_DIR"] = usual
        answer = genvx("run", "-g", "6", "--", "true")
        outcome.check(answer.returncode == 0, f"{where}: mended, but {answer.stderr!r}")
        outcome.check(len(here.snapshot().leases) == 1, f"{where}: the lease is lost afterwards")
        answer = genvx("release", "before")
        outcome.check(answer.returncode == 0, f"{where}: release: {answer.stderr!r}")
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        here.close()
