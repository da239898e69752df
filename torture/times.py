"""F7, F14: how soon a lease ends with its holder, and that nothing else ends or prolongs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local import processes
from genvx.local.host import LocalHost
from torture import ends, ground
from torture.trial import Outcome, Trial, percentile, spread, until

_TEN_YEARS = 10 * 365 * 86400
_YEAR_NS = 365 * 86400 * 10**9


def killed_holder(trial: Trial) -> Outcome:
    """F7: from SIGKILL of the last holder to the moment in which the lease counts no more; whether
    it has no time, one of its own, or one from the policy.
    """
    outcome, took = Outcome(), []
    ground.warm(trial.place)
    variables = ground.provisioned(trial.place / "state")
    (trial.place / "state" / "policy.toml").write_text('[limits]\ntime = "1h"\n')
    here = LocalHost(environ=variables)
    user = ground.USERS[0] if ground.root() else os.geteuid()  # root has no limits
    kinds = ((os.geteuid(), None), (os.geteuid(), 3600), (user, None))
    for number in range(trial.size(50, 1000)):
        uid, seconds = kinds[number % len(kinds)]
        pid = _holder(variables, 2, seconds=seconds, uid=uid)
        if not until(lambda: here.snapshot().leases):
            outcome.violated("a holder never came")
            break
        begin = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        free = until(lambda: len(here.snapshot().available) == 8, 10)
        took.append((time.perf_counter() - begin) * 1000)
        os.waitpid(pid, 0)
        if not free:
            outcome.violated("a lease outlived its holder by 10 s")
            break
    if trial.full:
        outcome.at_most(percentile(took, 0.99), 50, "p99, ms:")
    outcome.seen.append(f"{len(took)} times, {spread(took)}")
    return outcome


def _holder(
    variables: dict[str, str],
    gpus: int,
    name: str = "holder",
    *,
    seconds: float | None = None,
    uid: int | None = None,
) -> int:
    """A process that takes devices and keeps them."""

    def keep() -> None:
        host = LocalHost(environ=variables)
        held = host.acquire(Ask(Requirements(gpus), name=name, lasts=seconds))
        while True:
            signal.pause()
            del held

    return ground.fork(keep, uid)


def clocks(trial: Trial) -> Outcome:
    """F14: wrong clocks, another boot, a pid and an inode that are used again, a holder that is
    stopped, and parents and keepers that are killed or stopped before their command's time is over.
    """
    outcome = Outcome()
    ground.warm(trial.place)
    variables = ground.provisioned(trial.place / "state")
    here = LocalHost(environ=variables)
    held = here.acquire(Ask(Requirements(1), name="held"))
    in_a_year = processes.boottime_ns() + _YEAR_NS
    timed = _reserved(here, trial.place / "state", in_a_year, "timed")
    _reserved(here, trial.place / "state", 1, "expired")
    _wrong_clocks(outcome, trial, variables)
    _other_boot(outcome, trial, variables)
    _other_clock(outcome, variables)
    timed.unlink(missing_ok=True)
    held.release()
    _used_again(outcome, variables)
    _stopped(outcome, variables)
    ends.ends(outcome, trial.place, variables)
    done = "±10 years, another boot, reused pids and inodes, stopped and killed holders"
    outcome.seen.append(f"{done}: {len(outcome.violations)} violations")
    return outcome


def _reserved(here: LocalHost, root: Path, expires_ns: int, name: str) -> Path:
    """A reservation, which lives until a moment of this boot."""
    held = here.acquire(Ask(Requirements(1), name=name))
    (path,) = (p for p in root.rglob("*.lease") if f'"{name}"' in p.read_text())
    record = json.loads(path.read_bytes())
    record |= {"part": "reserved", "expires_boottime_ns": expires_ns}
    held.release()
    path.write_text(json.dumps(record, separators=(",", ":")))
    return path


def _names(variables: dict[str, str], *before: str) -> list[str]:
    """What `genvx envs` shows, run by a command such as unshare."""
    answer = subprocess.run(
        [*before, *ground.genvx("envs", "--json")],
        env=ground.command_environ(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        return [f"exit code {answer.returncode}: {answer.stderr[-300:]}"]
    (host,) = json.loads(answer.stdout)["hosts"]
    return sorted(environment["name"] for environment in host["environments"])


def _wrong_clocks(outcome: Outcome, trial: Trial, variables: dict[str, str]) -> None:
    library = ground.preloaded("wrong_clock", trial.place)
    for years in (0, _TEN_YEARS, -_TEN_YEARS):
        wrong = {"LD_PRELOAD": str(library), "WRONG_CLOCK": str(years)}
        told = subprocess.run(
            [sys.executable, "-S", "-c", "import time; print(int(time.time()))"],
            env={**os.environ, **wrong},
            capture_output=True,
            text=True,
            check=True,
        )
        assert abs(int(told.stdout) - time.time() - years) < 3600, "the clock is not wrong"
        names = _names(variables | wrong)
        outcome.check(names == ["held", "timed"], f"a clock wrong by {years} s: {names}")


def _other_clock(outcome: Outcome, variables: dict[str, str]) -> None:
    """Root in a time namespace, whose clock is years ahead: what is timed does not end by it."""
    if ground.inside():
        ahead = ("unshare", "--time", "--boottime", str(_TEN_YEARS), "--fork")
        names = _names(variables, *ahead)
        outcome.check(names == ["held", "timed"], f"in a time namespace: {names}")


def _other_boot(outcome: Outcome, trial: Trial, variables: dict[str, str]) -> None:
    """A copy has no locks, as after a boot; and the boot has another id."""
    copy = trial.place / "booted"
    shutil.copytree(variables["GENVX_STATE_DIR"], copy)
    booted = variables | {"GENVX_STATE_DIR": str(copy)}
    identity = trial.place / "boot_id"
    identity.write_text("0b00715e-0000-4000-8000-000000000000\n")
    names = _names(booted)
    outcome.check(names == ["timed"], f"without locks, in the same boot: {names}")
    if ground.inside():
        shutil.rmtree(copy)
        shutil.copytree(variables["GENVX_STATE_DIR"], copy)
        mount = f"mount --bind {identity} /proc/sys/kernel/random/boot_id"
        names = _names(booted, "unshare", "--mount", "sh", "-c", f'{mount} && exec "$@"', "sh")
        outcome.check(names == [], f"after another boot: {names}")


def _used_again(outcome: Outcome, variables: dict[str, str]) -> None:
    """The pid of a lease becomes a stranger's: nobody takes it for the holder."""
    here = LocalHost(environ=variables)
    pid = _holder(variables, 1)
    until(lambda: here.snapshot().leases)
    (lease,) = here.snapshot().leases
    # A job that the holder leaves behind keeps the environment, under the dead holder's pid.
    keeper = here.join(lease.environment_id)
    ground.kill(pid)
    # The kernel tells when a process began in ticks of 10 ms. By its clock, not by what genvx takes
    # for that: it may be what is tried here.
    until(lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10**7 > lease.starttime + 1)
    stranger = _with_pid(pid)
    if stranger is None:
        outcome.seen.append("pids cannot be chosen here")
    else:
        named = processes.describe(stranger)
        assert named is not None
        assert named.starttime != lease.starttime, "a pid was used again in the same tick"
        held = [x.pid for x in here.snapshot().leases]
        outcome.check(held == [os.getpid()], f"a dead holder lives in a stranger: {held}")
        _signal_at_stranger(outcome, here, stranger)
        ground.kill(stranger)
    keeper.release()
    outcome.check(len(here.snapshot().available) == 8, "not all are free afterwards")


def _signal_at_stranger(outcome: Outcome, here: LocalHost, stranger: int) -> None:
    """A signal for an environment goes to nobody who merely has the pid of one of its holders."""
    (lease,) = here.snapshot().leases
    (path,) = Path(here.state.root).rglob(f"{lease.id}.lease")
    exact = path.read_bytes()
    record = json.loads(exact)
    # As if its holder had been the one whose pid the stranger has now.
    path.write_text(json.dumps(record | {"pid": stranger}))
    here.signal(lease.environment_id, "TERM")
    path.write_bytes(exact)
    gone = until(lambda: os.waitpid(stranger, os.WNOHANG)[0], 0.2)
    outcome.check(not gone, "a signal went to a stranger")


def _with_pid(wanted: int) -> int | None:
    """A new process with this pid; None where the kernel does not let us choose."""
    for _ in range(20):
        try:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(wanted - 1))
        except OSError:
            return None
        pid = ground.fork(signal.pause)
        if pid == wanted:
            return pid
        ground.kill(pid)
    return None


def _stopped(outcome: Outcome, variables: dict[str, str]) -> None:
    here = LocalHost(environ=variables)
    pid = _holder(variables, 8)
    until(lambda: here.snapshot().leases)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    outcome.check(not here.snapshot().available, "a stopped holder lost its devices")
    os.kill(pid, signal.SIGCONT)
    outcome.check(not here.snapshot().available, "a holder that goes on lost its devices")
    ground.kill(pid)
    outcome.check(until(lambda: len(here.snapshot().available) == 8), "not free after its end")
