"""R3: ends of runs whose processes do not want to end, and that get away from their parents; some
have guests, which were started inside of the run by others.

All of them have a name in common, which they get from the kernel when they are forked, so /proc
tells who is left: nothing of genvx is asked for that.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.core.wire.runoperations import StopRun
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.launch import submit
from torture import ground
from torture.trial import Outcome, Trial, percentile, until
from torture.truth import Home, Shown

_GRACE = 0.3
_MOST_SECONDS = 1.0
# A look at /proc is not one moment: who forks and ends during it is not seen.
_LOOKS = 5

# A tree. Each of its processes is called by the name that is given; "ready" is there when all are.
_TREE = """
import os, signal, sys, time
name, ready, kind = sys.argv[1:]
with open("/proc/self/comm", "w") as file: file.write(name)

def forever():
    while True: time.sleep(1000)

def child(act):
    if os.fork() == 0:
        try: act()
        finally: os._exit(0)

def deaf(): signal.signal(signal.SIGTERM, signal.SIG_IGN); forever()

def daemon():
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3, 1024):
            try: os.close(descriptor)
            except OSError: pass
        deaf()
    os._exit(0)

def bare():
    # Without the variables of its run, so that only its parents tell whose it is.
    os.setsid()
    if os.fork() == 0:
        again = "open('/proc/self/comm', 'w').write(%r); import signal, time; " % name
        again += "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
        os.closerange(3, 1024)
        os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", again], {})
    os._exit(0)

def stopped(): os.kill(os.getpid(), signal.SIGSTOP); deaf()

def forker():
    # One child after the other, each of which outlives its parent's next.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        child(lambda: time.sleep(0.3))
        time.sleep(0.01)

def chain():
    # Always in the child of its child: whoever is seen is gone a moment later.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.01)
        if os.fork(): os._exit(0)

def bomb():
    # Each of its processes makes two, as long as there are few.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    most = many() + 80
    while True:
        if many() < most: os.fork()
        time.sleep(0.01)

def many():
    # Of the whole machine, which is one read; so this one is quick.
    with open("/proc/loadavg") as file: return int(file.read().split()[3].partition("/")[2])

acts = {"daemons": [daemon, daemon, deaf], "bare": [bare, deaf], "guest": [daemon, deaf],
        "stopped": [stopped, deaf], "forkers": [forker, forker], "chain": [chain], "bomb": [bomb]}
for act in acts[kind]: child(act)
if kind == "stopped": signal.signal(signal.SIGTERM, signal.SIG_DFL)
else: signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(0.1)
open(ready, "w").close()
forever()
"""
_KINDS = ("daemons", "stopped", "forkers", "chain", "bomb", "bare")
_WITH_GUESTS = ("daemons", "chain")


def trees(trial: Trial) -> Outcome:
    """R3."""
    outcome = Outcome()
    home = Home.made(trial.place / "home")
    took: list[float] = []
    for number in range(trial.size(1, 20)):
        for kind in _KINDS:
            for ends in (_stop, _force, _itself, _without_supervisor):
                if _is_tried(kind, ends, trial) and not outcome.enough:
                    where = f"{kind}, {ends.__name__[1:]} {number}"
                    took += _one(outcome, home, kind, ends, where)
    home.judge_rest(outcome, "stopped trees")
    if took:
        outcome.at_most(max(took), _MOST_SECONDS, "GPUs free after the last process, s:")
        outcome.seen.append(
            f"{len(took)} trees, 0 left, GPUs free after the last process: p99 "
            f"{percentile(took, 0.99) * 1000:.0f} ms"
        )
    return outcome


def _is_tried(kind: str, ends: Callable[..., object], trial: Trial) -> bool:
    if kind == "bare":
        # Without the supervisor nothing says any more whose such a process is.
        return ends is _stop or (trial.full and ends is not _without_supervisor)
    return trial.full or ends in (_stop, _force) or (kind, ends) == ("daemons", _itself)


def _one(
    outcome: Outcome, home: Home, kind: str, ends: Callable[[Home, str], object], where: str
) -> list[float]:
    """Start a tree and end it; seconds from the end of its last process until its GPU is free."""
    run = os.urandom(4).hex()
    name, ready = f"tree-{run}", home.root / f"ready-{run}"
    argv = (sys.executable, "-I", "-S", "-c", _TREE, name, str(ready), kind)
    spec = RunSpec(run, argv, Requirements(1), "", "", Moment(0, 0), grace=_GRACE)

    def act() -> None:
        with home.host() as host:
            submit(host, spec, fork=True)

    os.waitpid(ground.fork(act), 0)
    outcome.check(until(ready.exists, 15), f"{where}: it never began")
    guest = None
    if kind in _WITH_GUESTS:
        guest = ground.fork(lambda: _visit(home, run, name, ready.with_suffix(".guest")))
        fine = until(ready.with_suffix(".guest").exists, 15)
        outcome.check(fine, f"{where}: its guest never began")
    pid = ground.fork(lambda: ends(home, run))
    last = free = 0.0
    end = time.monotonic() + 20
    while not (last and free) and time.monotonic() < end:
        # In this order: a lease that is free while somebody is left must not be missed.
        if not free and not home.held(run):
            free = time.monotonic()
            # Where nobody supervises, one that has closed the lease may end a moment later.
            left = [] if ends is _without_supervisor else _living(name)
            outcome.check(not left, f"{where}: its GPU is free, and {len(left)} are left")
        now = time.monotonic()
        if not last and not any(_living(name) for _ in range(_LOOKS)):
            last = now
    outcome.check(last, f"{where}: {len(_living(name))} are left after 20 s")
    outcome.check(free, f"{where}: its GPU is not free after 20 s")
    for each in _living(name):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    for each in (pid, guest):
        if each is not None:
            ground.kill(each)
    until(lambda: not home.supervised(run), 10)
    # The first process of a namespace gets all orphans; their zombies would fill its table.
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    wanted = {_without_supervisor: "lost", _itself: "failed"}.get(ends, "stopped")
    shown = home.shown().get(run, Shown())
    outcome.check(shown.state == wanted, f"{where}: {shown}, wanted {wanted}")
    shutil.rmtree(home.runs / run)
    # Either may come first where nobody supervises; both must come together.
    return [abs(free - last) if ends is _without_supervisor else max(0.0, free - last)]


def _stop(home: Home, run: str) -> None:
    with home.host() as host:
        host.answer(StopRun(run))


def _force(home: Home, run: str) -> None:
    with home.host() as host:
        host.answer(StopRun(run, force=True))


def _itself(home: Home, run: str) -> None:
    """Have its command end; what it has started is left behind."""
    with home.host() as host:
        os.kill(RunCatalog(host).find(run).state.pid, signal.SIGKILL)


def _visit(home: Home, run: str, name: str, ready: Path) -> None:
    """Be a guest of a run, with a tree of our own in it."""
    Path("/proc/self/comm").write_text(name)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with home.host() as host, host.join(run) as hold:
        hold.start([sys.executable, "-I", "-S", "-c", _TREE, name, str(ready), "guest"]).wait()


def _without_supervisor(home: Home, run: str) -> None:
    for each, pid in home.supervisors():
        if each == run:
            os.kill(pid, signal.SIGKILL)
    until(lambda: not home.supervised(run))
    _stop(home, run)


def _living(name: str) -> list[int]:
    """The processes of this name that are not dead."""
    found = []
    for each in os.listdir("/proc"):
        if each.isdigit():
            with suppress(OSError):
                text = Path(f"/proc/{each}/stat").read_text("utf-8", "replace")
                if f"({name})" in text and text.rpartition(")")[2].split()[0] not in "ZX":
                    found.append(int(each))
    return found
