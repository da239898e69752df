"""F8, once more: a network that is cut without a word, seen from both of its ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from genvx.local.host import LocalHost
from genvx.sandbox import record
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.trial import Outcome, Trial, until
from torture.wires import Cable, cable

_LOST_AFTER = 2.0
# Beyond that: what a far end waits longer than its client, and what a busy machine needs.
_GRACE = 10.0

_HOLDER = """\
import sys, time
from genvx.fleet.hosts.hostfile import load
from genvx.fleet.fleet import connect_fleet
fleet = connect_fleet(load(sys.argv[1]), host_lost_after=float(sys.argv[2]))
hold = fleet.activate(gpus=1, name="held")
print("held", flush=True)
time.sleep(600)
"""


def cut(trial: Trial) -> Outcome:
    """A command without output, a hold and a ticket on one host; then nothing passes any more."""
    outcome = Outcome()
    took = []
    for number in range(trial.size(1, 20)):
        with _apart(trial.place / str(number)) as (sandbox, wire):
            pause = trial.chance(number).random() * trial.size(0, 5)
            took.append(_once(outcome, sandbox, wire, pause))
        if outcome.enough:
            break
    outcome.seen.append(
        f"{len(took)} cuts, told within {max(took):.1f} s, with {_LOST_AFTER:g} s of silence"
    )
    return outcome


@contextlib.contextmanager
def _apart(place: Path) -> Iterator[tuple[record.Sandbox, Cable]]:
    """A host with two GPUs at the other end of a cable."""
    sandbox = rooms.up(str(place), ["2"], server="openssh")
    try:
        with cable() as wire:
            wire.move(sandbox)
            yield sandbox, wire
    finally:
        rooms.down(sandbox.directory)


def _once(outcome: Outcome, sandbox: record.Sandbox, wire: Cable, pause: float) -> float:
    """Seconds from the cut until the client of the command was told."""
    (room,) = sandbox.hosts
    there = LocalHost("there", environ={**os.environ, **room.variables(sandbox.directory)})
    environ = ground.command_environ({"GENVX_HOSTFILE": sandbox.hostfile})
    verb = ground.genvx("remote", "--host-lost-after", f"{_LOST_AFTER:g}")

    def start(command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            wire.command(command),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ready(condition: Callable[[], object], what: str) -> None:
        if not until(condition):
            raise SystemExit(f"{what} never came to be")

    took = float("inf")
    held = start([sys.executable, "-c", _HOLDER, sandbox.hostfile, f"{_LOST_AFTER:g}"])
    clients = [held]
    try:
        ready(lambda: len(there.snapshot().leases) == 1, "the hold")
        clients.append(start([*verb, "run", "-g", "1", "--", "sleep", "600"]))
        ready(lambda: len(there.snapshot().leases) == 2, "the command")
        clients.append(start([*verb, "run", "-g", "1", "--wait", "--", "true"]))
        ready(lambda: there.snapshot().tickets, "the ticket")
        time.sleep(pause)
        wire.cut()
        begin = time.monotonic()
        limit = _LOST_AFTER + _GRACE
        for name, client in zip(("of the command", "in line"), clients[1:], strict=True):
            try:
                _, said = client.communicate(timeout=max(0.1, begin + limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                outcome.violated(f"the client {name} was not told within {limit:g} s")
                continue
            lines = [line for line in said.splitlines() if "is lost: no sign of life" in line]
            outcome.check(len(lines) == 1, f"the client {name} was not told: {said!r}")
            outcome.check(client.returncode in (3, 4), f"exit code {client.returncode}")
            if client is clients[1]:
                took = time.monotonic() - begin
        free = until(lambda: not _names(there) & {"held"}, _GRACE)
        outcome.check(free, "a lease outlived its cut-off client")
        outcome.check(
            until(lambda: not there.snapshot().tickets, _GRACE),
            "a ticket outlived its cut-off client",
        )
        return took
    finally:
        for client in clients:
            client.kill()
            client.communicate()
        there.close()


def _names(host: LocalHost) -> set[str]:
    return {environment.name for environment in host.snapshot().environments}
