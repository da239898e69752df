"""R2: somebody watches a run, and their connection is cut again and again, at any byte."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import sys
import threading
from pathlib import Path

from genvx.cli import app, main
from genvx.cli.ask import where
from genvx.cli.verbs.runs import watch as watch_verb
from genvx.cli.views import log
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import Moment, RunSpec
from genvx.fleet import sshhost
from genvx.fleet.detaching import runs as fleet_runs
from genvx.fleet.hosts import hostfile
from genvx.local.runs.launch import submit
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.trial import Outcome, Trial, until
from torture.truth import Home

_PRELOADED = (app, fleet_runs, hostfile, log, sshhost, watch_verb, where)
_CODE = 9
# How long a watch waits before it connects again; what is tried here is not its patience.
_PAUSE = 0.02
# Most connections are cut in the log, some while they are made. A piece that comes only in part is
# sent again, and several of the largest must get through whole.
_MOST_BYTES = 1_500_000

# Writes lines until a file is there, in parts that end anywhere.
_COMMAND = """
import os, sys, time
go, least = sys.argv[1], int(sys.argv[2])
number, rest = 0, b""
while number < least or not os.path.exists(go):
    rest += b"".join(b"%d\\n" % each for each in range(number + 1, number + 4001))
    number += 4000
    cut = number // 4000 % 37
    os.write(1, rest[:-cut] if cut else rest)
    rest = rest[-cut:] if cut else b""
    time.sleep(0.01)
os.write(1, rest + b"the end\\n")
sys.exit(9)
"""


class _Cutter:
    """Passes bytes on to a server, and cuts each connection after some bytes of its answers."""

    def __init__(self, port: int, cuts: int, chance: random.Random) -> None:
        self._server = ("127.0.0.1", port)
        self._chance = chance
        self._left = cuts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.done = threading.Event()
        self.cut = 0

    def start(self) -> None:
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, contextlib.suppress(OSError):
            allowed = self._chance.randrange(_MOST_BYTES) if self._left > 0 else 1 << 62
            self._left -= 1
            while allowed > 0:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(min(65536, allowed))
                    if not data:
                        return
                    if ready is server:
                        allowed -= len(data)
                    (client if ready is server else server).sendall(data)
            self.cut += 1
            if self._left <= 0:
                self.done.set()


def watched(trial: Trial) -> Outcome:
    """R2."""
    outcome = Outcome()
    cuts = trial.size(20, 200)
    sandbox = rooms.up(str(trial.place / "sandbox"), ["1"])
    (there,) = sandbox.hosts
    runs = Path(there.home, ".local", "share", "genvx", "runs")
    home = Home(Path(there.directory), there.variables(sandbox.directory), runs)
    go, shown = trial.place / "go", trial.place / "shown"
    cutter = _Cutter(there.port, cuts, trial.chance("cuts"))
    try:
        run = _start(home, go, trial.size(20_000, 1_000_000))
        config = Path(sandbox.ssh_config)
        config.write_text(
            config.read_text().replace(f"Port {there.port}\n", f"Port {cutter.port}\n")
        )
        environ = ground.command_environ({"GENVX_HOSTFILE": sandbox.hostfile})
        # Before there are threads.
        client = ground.fork(lambda: _watch(run, shown, environ))
        cutter.start()
        codes: list[int] = []

        def ended() -> bool:
            if not codes:
                done, status = os.waitpid(client, os.WNOHANG)
                codes.extend([os.waitstatus_to_exitcode(status)] * bool(done))
            return bool(codes)

        until(lambda: ended() or cutter.done.is_set(), trial.size(60, 900))
        go.touch()
        if not until(ended, 60):
            ground.kill(client)
        said = shown.with_name("said").read_text()
        outcome.check(
            codes == [_CODE], f"the exit code of watch is {codes}, not {_CODE}: {said[-200:]}"
        )
        lines = _judge(outcome, shown)
        # It says so once for the cuts between which nothing came.
        told = said.count("connecting again")
        outcome.check(cutter.cut >= cuts, f"only {cutter.cut} of {cuts} connections were cut")
        outcome.check(told >= cuts / 3, f"only {told} of {cutter.cut} cuts were in the log")
        outcome.seen.append(f"{cutter.cut} cuts, {told} of them in the log of {lines:,} lines")
    finally:
        cutter.close()
        home.end_all()
        rooms.down(sandbox.directory)
    return outcome


def _start(home: Home, go: Path, least: int) -> str:
    run = os.urandom(4).hex()
    argv = (sys.executable, "-I", "-S", "-c", _COMMAND, str(go), str(least))
    spec = RunSpec(run, argv, Requirements(1), "", "", Moment(0, 0))

    def act() -> None:
        with home.host() as host:
            submit(host, spec, fork=True)

    os.waitpid(ground.fork(act), 0)
    return run


def _watch(run: str, shown: Path, environ: dict[str, str]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environ)
    fleet_runs._PAUSE = _PAUSE
    said = os.open(shown.with_name("said"), os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(os.open(shown, os.O_WRONLY | os.O_CREAT, 0o600), 1)
    os.dup2(said, 2)
    os._exit(main.run(["remote", "watch", run]))


def _judge(outcome: Outcome, shown: Path) -> int:
    """Every line once, in order, and the end after the last."""
    with open(shown, "rb") as file:
        for count, line in enumerate(file):
            if line != b"%d\n" % (count + 1):
                last = line == b"the end\n" and not file.read(1)
                outcome.check(last, f"after line {count} comes {line!r}")
                return count
    outcome.violated("its last line is missing")
    return 0
