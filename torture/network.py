"""F8, F10, F11: clients that die, servers that misbehave, and a thousand hosts with dead ones."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import deaths, scale
from benchmarks.measure import Sample, measured
from benchmarks.world import World, world
from genvx.core.snapshot import Snapshot
from genvx.errors import HostKeyError
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.fleet.outcomes import Outcomes
from genvx.sandbox import files, record
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.servers import BEHAVIOURS, misbehaving
from torture.trial import Outcome, Trial, percentile, spread, until

_TIMEOUT = 3.0
# Beyond the deadline: what a busy machine needs to notice.
_GRACE = 1.5


def _here(place: World) -> World:
    """The world of the benchmarks, with the genvx that we are part of."""
    return replace(place, environ=ground.command_environ(place.environ))


def killed_client(trial: Trial) -> Outcome:
    """F8: from SIGKILL of a client to the moment in which its lease on the host counts no more."""
    outcome = Outcome()
    rounds = trial.size(3, 100)
    with world() as place:
        patience = 60.0 if trial.full else 15.0
        first = Outcome.most == 1
        found = deaths.times(_here(place), rounds, ground.genvx(), patience, first=first)
    for name, took in found.items():
        outcome.check(took[-1] != float("inf"), f"{name}: the lease outlived its client")
        if trial.full:
            outcome.at_most(percentile(took, 0.99), 250, f"{name}: p99, ms:")
        outcome.seen.append(f"{name}: {len(took)} times, {spread(took)}")
    return outcome


def thousand(trial: Trial) -> Outcome:
    """F11: a fleet of which one host in ten is dead, in six ways."""
    outcome = Outcome()
    healthy, dead = trial.size(12, 900), trial.size(6, 100)
    timeout = trial.size(8, 20)
    with world() as place, scale.bad_servers():
        here = _here(place)

        def ask(path: str) -> Sample:
            command = ground.genvx("remote", "-f", path, "-t", str(timeout), "devices")
            return measured(command, env=here.environ)

        well = scale.hostfile(here, healthy, 0)
        ask(well)  # has the agent lie there
        alone, mixed = ask(well), ask(scale.hostfile(here, healthy, dead))
    said = mixed.output.decode()
    answered = len(re.findall(r"  2 +2  ", said))
    failures = scale.failures_in(said)
    outcome.check(len(failures) == dead, f"{len(failures)} lines for {dead} dead hosts")
    outcome.check(answered == healthy, f"{answered} of {healthy} answered")
    outcome.check(len(set(failures)) >= 5, f"only {sorted(set(failures))}")
    outcome.check(mixed.code == 4, f"exit code {mixed.code}")
    more = mixed.wall - alone.wall
    if trial.full:
        outcome.at_most(more, timeout, "wall beyond the healthy ones alone, s:")
    outcome.check(
        more < timeout + 10, f"dead hosts cost {more:.1f} s, with a deadline of {timeout} s"
    )
    outcome.seen.append(
        f"{answered} of {healthy} answer, {len(failures)} of {dead} dead are a line each, wall "
        f"+{more:.1f} s with a deadline of {timeout} s"
    )
    return outcome


def hostile(trial: Trial) -> Outcome:
    """F10: servers that misbehave, and keys that are not the ones that are known."""
    outcome = Outcome()
    before = _ours()
    _misbehaviour(outcome)
    _keys(outcome, trial)
    for number, kind in enumerate(("threads", "sockets")):
        fine = until(lambda n=number: _ours()[n] <= before[n], 10)
        outcome.check(fine, f"{_ours()[number] - before[number]} {kind} are left")
    return outcome


def _ours() -> tuple[int, int]:
    """Our threads and sockets."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return threading.active_count(), sum(link.startswith("socket:") for link in links)


@contextlib.contextmanager
def _black_hole() -> Iterator[int]:
    """A port whose connections are never established: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _misbehaviour(outcome: Outcome) -> None:
    with contextlib.ExitStack() as stack:
        ports = {each.__name__: stack.enter_context(misbehaving(each)) for each in BEHAVIOURS}
        ports["black hole"] = stack.enter_context(_black_hole())
        with socket.create_server(("127.0.0.1", 0)) as closed:
            ports["refusing"] = closed.getsockname()[1]
        took: dict[str, float] = {}
        specs = [HostSpec(name, "127.0.0.1", port=port) for name, port in ports.items()]
        fleet = connect_fleet(specs, timeout=_TIMEOUT, config=os.devnull)
        begin = time.monotonic()
        answers = fleet.snapshot(lambda name: took.update({name: time.monotonic() - begin}))
        fleet.close()
    outcome.check(not answers.succeeded, f"believed {list(answers.succeeded)}")
    for name, error in answers.failed.items():
        outcome.check(took[name] < _TIMEOUT + _GRACE, f"{name}: took {took[name]:.1f} s")
        outcome.check(str(error).isprintable(), f"{name}: {str(error)!r}")
    outcome.seen.append(
        f"{len(ports)} servers: {len(answers.succeeded)} believed, longest "
        f"{max(took.values()):.1f} s "
        f"with a deadline of {_TIMEOUT:g} s"
    )


def _keys(outcome: Outcome, trial: Trial) -> None:
    """Each kind of host key that is not the known one, at the host and at the way there."""
    directory = trial.place / "sandbox"
    sandbox = rooms.up(str(directory), ["1", "1"])
    try:
        known = Path(sandbox.directory, "known_hosts")
        first, second = known.read_text().splitlines()
        key = first.split(" ", 1)[1]
        other = " ".join(files.make_key(str(trial.place / "other"), "x").split()[:2])
        cases = {
            "unknown": second,
            "changed": f"gpu-server-1 {other}\n{second}",
            "revoked": f"@revoked * {key}\n{first}\n{second}",
            "certificate authority only": f"@cert-authority gpu-* {other}\n{second}",
            "known for another name": f"gpu-server-9 {key}\n{second}",
            "negated": f"*,!gpu-server-1 {key}\n{second}",
        }
        for name, content in cases.items():
            known.write_text(content + "\n")
            for way, jump in (("", ""), (" on the way", "ProxyJump gpu-server-1")):
                _refuse(outcome, f"a host key that is {name}{way}", sandbox, jump)
        known.write_text(f"{first}\n{second}\n")
        for jump in ("", "ProxyJump gpu-server-1"):
            answers = _ask(sandbox, jump)
            outcome.check(answers.succeeded, f"the right key is refused: {answers.failed}")
        outcome.seen.append(f"{2 * len(cases)} wrong keys: none accepted")
    finally:
        rooms.down(sandbox.directory)


def _refuse(outcome: Outcome, what: str, sandbox: record.Sandbox, jump: str) -> None:
    answers = _ask(sandbox, jump)
    outcome.check(not answers.succeeded, f"{what} was accepted")
    for error in answers.failed.values():
        outcome.check(isinstance(error, HostKeyError), f"{what}: {type(error).__name__}: {error}")


def _ask(sandbox: record.Sandbox, jump: str) -> Outcomes[Snapshot]:
    """A snapshot of a host; of the second one, where there is a way to go."""
    config = Path(sandbox.directory, "ssh_config")
    before = config.read_text()
    target = "gpu-server-2" if jump else "gpu-server-1"
    try:
        config.write_text(f"Host {target}\n    {jump}\n\n{before}" if jump else before)
        ask = partial(connect_fleet, timeout=20.0, config=str(config))
        with ask([HostSpec(target, target)]) as fleet:
            return fleet.snapshot()
    finally:
        config.write_text(before)
