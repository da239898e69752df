"""A detached gang: a run with one id on several hosts, of which all start or none.

Its devices are taken as those of any gang, and held until the supervisors on all hosts have joined
them. Then node 0 is told to start, and passes that on: up to this word none has started, and the
supervisors give up by themselves if it does not come (core/wire/gangtalk.py). From it on all do.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING

from genvx.core.launchers import for_people
from genvx.core.requests.ask import Ask
from genvx.core.runs.part import Meeting, Part
from genvx.core.runs.rungang import require_no_retries
from genvx.core.runs.runstate import Failed, Preparing, Running, end_of
from genvx.core.value import replace
from genvx.core.wire.runoperations import AcceptedPart, DecideRun, SubmitPart
from genvx.errors import (
    CommandNotFound,
    GenvxError,
    HostError,
    HostLost,
    InvalidInput,
    StateError,
    UnknownRun,
)
from genvx.fleet.detaching.acceptance import Acceptance
from genvx.fleet.detaching.submission import at
from genvx.fleet.gang import at_once, take
from genvx.fleet.offer import asked_of
from genvx.fleet.typed import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from genvx.core.line.standing import Standing
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.gang import Gang
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.sshhost import SSHHost

    Places = tuple[tuple[SSHHost, RunInfo], ...]

# Seconds. A supervisor looks at the devices and connects to node 0 before it says that it is ready;
# and it starts its command before it says that it has started.
_ACCEPTANCE = 30.0
# Node 0 waits so long for the word to start, and this part of it is for all to get ready.
GO_WITHIN = 60.0
_READY = 0.75


def submit_gang(
    fleet: HostGroup[SSHHost],
    spec: RunSpec,
    nodes: int,
    *,
    patience: float | None = None,
    tags: tuple[str, ...] = (),
    address: str | None = None,
    mixed: bool = False,
    seen: Outcomes[Snapshot] | None = None,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
    say: Callable[[str], object] = lambda line: None,
    ship: Callable[[SSHHost], object] | None = None,
) -> Places:
    """Start a run on several hosts at once; return its parts with their hosts, by rank.

    spec: of each part. patience: seconds to wait for the devices at most, while we are here; None
    does not wait. address: where the other hosts reach node 0; by default the address by which we
    reach it. mixed, seen, tell: as for gang.take. say: called with what the user should know. ship:
    sends the project of the run to a host, unless it has it.

    Raises:
        NoCapacity: too few hosts have room. InvalidInput, StateError: a host refused its part.
        HostLost: a host was lost on the way. Nothing is left running then: what was accepted is
        withdrawn, or gives up within two minutes where it cannot be reached.
    """
    require_no_retries(spec.retries)
    ask = Ask(
        spec.requirements,
        spec.name,
        spec.id,
        command=" ".join(for_people(spec.argv)),
        lasts=spec.seconds,
        patience=patience,
    )
    with take(fleet, ask, nodes, tell=tell, seen=seen, mixed=mixed) as found:
        if ship is not None:
            # Before any part is accepted: node 0 waits only so long for all to get ready.
            at_once(ship, [host for host, _ in found.members], on_interrupt=lambda done: None)
        parts = _specs(found, spec, address, mixed=mixed)
        acceptance = Acceptance()
        try:
            accepted = _accepted(parts, tags, say, acceptance)
            first = next(iter(accepted))
            started = {first: _started(first, accepted[first].run)}
        except BaseException:
            _withdraw(parts, spec.id, acceptance)
            raise
        started.update(_others(accepted, first, say))
    return tuple(started.items())


def submit_again(
    fleet: HostGroup[SSHHost],
    before: RunInfo,
    spec: RunSpec,
    *,
    patience: float | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Places:
    """Start a gang as it was before, from one of its parts; returns and raises as `submit_gang`.

    fleet: the hosts to choose from. spec: what is asked now.
    """
    part = before.spec.part
    assert part is not None, "it is no gang"
    same = [host.name for host in fleet.hosts] == list(part.nodes)
    return submit_gang(
        fleet,
        spec,
        len(part.nodes),
        patience=patience,
        tags=before.tags,
        # On other hosts it would be that of a stranger.
        address=part.address if same else None,
        mixed=part.mixed,
        say=say,
    )


def _specs(
    found: Gang[SSHHost], spec: RunSpec, address: str | None, *, mixed: bool
) -> dict[SSHHost, RunSpec]:
    """What each host is asked, by rank."""
    hosts = [host for host, _ in found.members]
    names = tuple(host.name for host in hosts)
    address, port = address or hosts[0].address, hosts[0].free_port()
    debug_port = at(spec, hosts[0]).debug_port
    return {
        # One host tells of the end of all of them, and one port leads into them: node 0's.
        host: replace(
            asked_of(host.spec, spec),
            part=Part(rank, names, address, port, mixed),
            notifiers=spec.notifiers if rank == 0 else (),
            debug_port=debug_port if rank == 0 else None,
        )
        for rank, host in enumerate(hosts)
    }


def _accepted(
    parts: dict[SSHHost, RunSpec],
    tags: tuple[str, ...],
    say: Callable[[str], object],
    acceptance: Acceptance,
) -> dict[SSHHost, AcceptedPart]:
    """Have all hosts accept their parts: node 0 first, because the others connect to it."""
    first, *others = parts
    part = parts[first].part
    assert part is not None
    meeting = Meeting(os.urandom(32).hex(), part.address, patience=GO_WITHIN)
    began = monotonic()

    def submit(host: SSHHost) -> AcceptedPart:
        asked = SubmitPart(parts[host], meeting, tags)
        try:
            with acceptance.asking(host):
                return host.answer(asked, patience=_ACCEPTANCE)
        except CommandNotFound as error:
            raise error.on(host.name) from None
        except (InvalidInput, StateError) as error:
            raise type(error)(f"{host.name}: {error}") from None
        except HostError as error:
            raise HostLost(f"{host.name}: {error}; the run was not started") from None

    found = {first: submit(first)}
    meeting = replace(meeting, port=found[first].port)
    found.update(at_once(submit, others, on_interrupt=lambda accepted: None))
    if monotonic() > began + _READY * GO_WITHIN:
        raise StateError("the hosts took too long to accept the run; it was not started")
    for host, accepted in found.items():
        if accepted.run.note:
            say(f"{host.name}: {accepted.run.note}")
        if not accepted.linked:
            say(
                f"{host.name} cannot connect to {first.name} ({part.address}): its part goes on "
                "alone when another one fails; --master-addr names another address"
            )
    return found


def _started(host: SSHHost, run: RunInfo) -> RunInfo:
    """Have a part start. Raises StateError if it has given up."""
    try:
        found = host.answer(DecideRun(run.id, True), patience=_ACCEPTANCE)
    except HostError as error:
        raise HostLost(
            f"{host.name}: {error}; whether run {run.id} was started is not known: "
            f"{typed(host)} runs shows it"
        ) from None
    if isinstance(found.state, (Preparing, Running)) or end_of(found.state) is not None:
        return found
    why = found.state.why if isinstance(found.state, Failed) else "it was stopped"
    raise StateError(f"{host.name}: run {run.id} did not start: {why}")


def _others(
    accepted: dict[SSHHost, AcceptedPart], first: SSHHost, say: Callable[[str], object]
) -> dict[SSHHost, RunInfo]:
    """Have the others start, which node 0 may have done already. It has started: no way back."""

    def start(host: SSHHost) -> RunInfo | GenvxError:
        try:
            return _started(host, accepted[host].run)
        except GenvxError as error:
            return error

    found = {}
    others = [host for host in accepted if host is not first]
    for host, end in at_once(start, others, on_interrupt=lambda end: None).items():
        if isinstance(end, GenvxError):
            say(str(end))
        found[host] = accepted[host].run if isinstance(end, GenvxError) else end
    return found


def _withdraw(hosts: Iterable[SSHHost], run: str, acceptance: Acceptance) -> None:
    """Have nothing be left of a run on hosts that may have accepted it."""
    acceptance.withdraw()

    def withdraw(host: SSHHost) -> None:
        acceptance.settle(host)
        try:
            host.answer(DecideRun(run, False), patience=_ACCEPTANCE)
        except (HostError, UnknownRun):
            pass  # it was never accepted; or it gives up by itself

    threads = [threading.Thread(target=withdraw, args=(host,), daemon=True) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
