"""The end of a time, in F14: it comes to who holds the lease, whoever is killed or stopped before,
and to nobody else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.running import timekeeper
from genvx.local.running.leasefile import LeaseFile
from genvx.local.running.spared import Spared
from torture import ground
from torture.trial import Outcome, until

_SECONDS = 3.0
_TRIES = 100


def ends(outcome: Outcome, place: Path, variables: dict[str, str]) -> None:
    """All at once: each takes as long as the time is."""
    torn = {"LD_PRELOAD": str(ground.preloaded("torn_info", place))}
    strangers = _Strangers(variables)
    with contextlib.ExitStack() as stack:
        runs = {
            name: stack.enter_context(_Run(variables | torn, name, act))
            for name, act in (
                ("whose parent is killed", _kill_parent),
                ("that is stopped", _stop),
                ("whose parent is stopped for a while", _stop_for_a_while),
                ("whose keeper is killed", _kill_keeper),
            )
        }
        strangers.come()
        for name, run in runs.items():
            outcome.check(
                until(lambda run=run: not run.lives(), _SECONDS + 5),
                f"a command {name} outlived its time",
            )
            run.go_on()
            code, said = run.end()
            outcome.check(
                name == "whose parent is killed" or code in (128 + 15, 128 + 1),
                f"a command {name}: exit code {code}: {said[-200:]!r}",
            )
    strangers.check(outcome)
    here = LocalHost(environ=variables)
    outcome.check(until(lambda: not here.snapshot().leases, 5), "not all is free after the time")


class _Run:
    """`genvx run --time` of a command that would last; act: what happens to it meanwhile."""

    def __init__(self, variables: dict[str, str], name: str, act: Callable[[int], object]) -> None:
        options = ("-g", "1", "--name", name, "--time", f"{_SECONDS:g}s")
        self._process = subprocess.Popen(
            ground.genvx("run", *options, "--", "sleep", "600"),
            env=ground.command_environ(variables),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._command = 0
        until(lambda: self._found())
        act(self._process.pid)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _found(self) -> bool:
        for pid in _pids():
            if _field(pid, "stat").rpartition(")")[2].split()[1:2] == [str(self._process.pid)]:
                self._command = pid if _field(pid, "comm") == "sleep\n" else 0
                if self._command:
                    return True
        return False

    def lives(self) -> bool:
        return _field(self._command, "stat").rpartition(")")[2].split()[:1] not in ([], ["Z"])

    def go_on(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGCONT)

    def end(self) -> tuple[int, str]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        said = self._process.communicate()[1]
        return self._process.returncode, said


def _kill_parent(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _stop(pid: int) -> None:
    os.killpg(pid, signal.SIGSTOP)


def _stop_for_a_while(pid: int) -> None:
    """Not until the end: what interrupts a wait whose time is over must not be taken for a signal.

    More than once, as it may not have begun to wait.
    """
    for _ in range(3):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(_SECONDS / 5)
        os.kill(pid, signal.SIGCONT)
        time.sleep(_SECONDS / 30)


def _kill_keeper(pid: int) -> None:
    """It is a copy of its parent, in a session of its own."""
    for other in _pids():
        words = _field(other, "stat").rpartition(")")[2].split()
        same = _field(other, "cmdline") == _field(pid, "cmdline")
        if other != pid and same and words[3:4] != [str(pid)]:
            os.kill(other, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _field(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace")
    except OSError:
        return ""


class _Strangers:
    """Two that come after leases with a time, and hold theirs by the same inodes, where the file
    system gives these out again at once.

    A keeper looks once a second, so it may not have seen that its lease is gone. The moment in
    which its time is over is brought about here. The second keeper spares a process, as for shells.
    """

    def __init__(self, variables: dict[str, str]) -> None:
        self._host = LocalHost(environ=variables)
        self._pids: list[int] = []
        self.again = 0

    def come(self) -> None:
        for spared in (None, Spared(1, 0, supervises=False)):
            before = self._host.acquire(Ask(Requirements(), name="before"))
            file = LeaseFile.of(before.descriptor)
            before.release()
            self._pids.append(self._stranger(file.inode))
            keeper = ground.fork(lambda f=file, s=spared: timekeeper._keep(f, 0, None, s))
            os.waitpid(keeper, 0)

    def _stranger(self, inode: tuple[int, int]) -> int:
        reads, writes = os.pipe()

        def hold() -> None:
            held = []
            for _ in range(_TRIES):
                held.append(self._host.acquire(Ask(Requirements(), name="stranger")))
                status = os.fstat(held[-1].descriptor)
                if (status.st_dev, status.st_ino) == inode:
                    os.write(writes, b"again")
                    break
            os.write(writes, b".")
            while True:
                signal.pause()

        pid = ground.fork(hold)
        os.close(writes)
        self.again += os.read(reads, 16).startswith(b"again")
        os.close(reads)
        return pid

    def check(self, outcome: Outcome) -> None:
        for pid in self._pids:
            outcome.check(os.waitpid(pid, os.WNOHANG) == (0, 0), "a keeper ended a stranger")
            ground.kill(pid)
        outcome.seen.append(f"{self.again} inodes used again")
