"""Moving a waiting run to another host, and starting a run anew.

A run that moves keeps its id. It is withdrawn where it waits first; only when its host says that it
will not start there is it started elsewhere. A client that dies between the two leaves it
`stopped (moved)` on its first host, with all that a restart needs.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from genvx.core.placing.ranking import rank
from genvx.core.runs.forecast import soonest
from genvx.core.runs.run import Moment
from genvx.core.runs.runselect import require_waiting
from genvx.core.runs.runstate import is_over, name_of, was_moved
from genvx.core.value import replace
from genvx.core.wire.runoperations import (
    Disposal,
    DisposeOfRun,
    FindRuns,
    MarkRun,
    ShowRun,
    WithdrawRun,
)
from genvx.core.wire.treeoperations import FindTree
from genvx.errors import GenvxError, HostError, HostLost, InvalidInput, NoCapacity, StateError
from genvx.fleet.detaching.runs import submit_to
from genvx.fleet.typed import typed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.runoperations import RunDetails
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost
    from genvx.fleet.host import Host
    from genvx.fleet.outcomes import Outcomes

_NEVER = Moment(0, 0)
# A run that was withdrawn is submitted elsewhere within so many seconds, or not at all, because a
# client may be stopped in between. An answer takes less than the rest. So a run that is nowhere
# after the second time stays nowhere, and can be started anew without starting twice.
_SUBMITTED_WITHIN = 20.0
_ARRIVED_WITHIN = 60.0


def room_elsewhere(
    spec: RunSpec, source: str, seen: Outcomes[Snapshot], among: Collection[str]
) -> tuple[str, ...]:
    """The hosts to which a run that waits on `source` can go and start at once, best first.

    among: the names of the hosts that come into question.
    """
    return rank(spec.requirements, _others(source, seen, among))[0]


def move(
    fleet: HostGroup[RunHost],
    source: RunHost,
    run: RunInfo,
    seen: Outcomes[Snapshot],
    among: Collection[str],
    *,
    waits: bool = False,
) -> tuple[RunHost, RunInfo]:
    """Move a waiting run to one of the hosts `among`; return its new host, and the run there.

    seen: snapshots of the hosts. waits: whether it may also go where it has to wait; otherwise a
    host must have room now. If others take that room meanwhile, it waits where it starts soonest.

    Raises:
        NoCapacity: no other host has room; the run waits on. InvalidInput: the run does not wait,
        or has begun meanwhile. HostLost: whether it was started is not known.
    """
    others = _others(source.name, seen, among)
    targets = rank(run.spec.requirements, others)[0]
    if waits:
        targets = soonest(run.spec.requirements, others)
    if targets and run.spec.project is not None:
        # Asked before it is withdrawn, for it would lose its place in the line.
        python = run.spec.python
        trees = [run.spec.project.tree, *([python.needs] if python and python.needs else [])]
        targets = tuple(
            name for name in targets if all(_has_tree(fleet.host(name), tree) for tree in trees)
        )
        if not targets:
            raise NoCapacity(
                f"no other host with room has the code of run {run.id}; it waits on {source.name}; "
                f"runs stop {run.id} ends it, and run -d --project starts it anew"
            )
    if not targets:
        raise NoCapacity(f"no other host has room for run {run.id}; it waits on {source.name}")
    # Asked before it is withdrawn, too: there is little time afterwards.
    rest = rest_of(source, run)
    began = _now()
    withdrawn = with_rest(source.answer(WithdrawRun(run.id)), rest)
    try:
        host, moved = _arrive(fleet, source, withdrawn, seen, targets, began, waits=waits)
    except GenvxError as error:
        message = (
            f"run {run.id} was withdrawn on {source.name}, and could not be started elsewhere: "
            f"{error}; {typed(source)} runs restart {run.id} starts it"
        )
        if isinstance(error, HostLost):
            message = f"run {run.id} was withdrawn on {source.name}; {error}"
        raise type(error)(message) from None
    with suppress(GenvxError):  # what is left there is not shown, as long as both hosts answer
        if run.label:
            host.answer(MarkRun(run.id, run.label))
        # Not where both hosts have one home: then it is the run itself.
        if host is not source and any(was_moved(e.state) for e in source.answer(FindRuns(run.id))):
            source.answer(DisposeOfRun(run.id, Disposal.DELETE))
            source.answer(DisposeOfRun(run.id, Disposal.PURGE))
    return host, moved


def rest_of(host: Host, run: RunInfo) -> RunDetails | None:
    """What of a run only its directory has: how its project differed from its commit, and the
    addresses of its notifiers; None where there is neither.

    Raises:
        HostError: the host could not be asked.
    """
    is_dirty = run.spec.project is not None and run.spec.project.dirty
    if not is_dirty and not run.spec.notifiers:
        return None
    return host.answer(
        ShowRun(run.id, 0, diff=is_dirty, notifiers=bool(run.spec.notifiers)),
    )


def with_rest(run: RunInfo, rest: RunDetails | None) -> RunInfo:
    """A run with what only its directory had, as it is sent to a host."""
    if rest is None:
        return run
    spec = run.spec
    if spec.project is not None:
        spec = replace(spec, project=replace(spec.project, diff=rest.diff))
    if spec.notifiers:
        spec = replace(spec, notifiers=rest.notifiers)
    return replace(run, spec=spec)


def _has_tree(host: RunHost, tree: str) -> bool:
    try:
        return host.answer(FindTree(tree))
    except HostError:
        return False  # another target may answer


def move_in(
    fleet: HostGroup[RunHost] | None, source: RunHost, run: RunInfo, to: str | Sequence[str]
) -> tuple[RunHost, RunInfo]:
    """Move a waiting run in a fleet; as `move`, with new snapshots.

    to: names of hosts that come into question, also where it has to wait there; none: all that
    have room.

    Raises: as `move`. UnknownHost: the fleet has no host of such a name.
    """
    require_waiting(run)
    if fleet is None:
        raise InvalidInput(f"run {run.id} moves among the hosts of a fleet: use Fleet.find_run")
    names = (to,) if isinstance(to, str) else tuple(to)
    among = [fleet.host(name).name for name in names] or [host.name for host in fleet.hosts]
    return move(fleet, source, run, fleet.snapshot(), among, waits=bool(names))


def _others(source: str, seen: Outcomes[Snapshot], among: Collection[str]) -> dict[str, Snapshot]:
    return {
        name: snapshot
        for name, snapshot in seen.succeeded.items()
        if name != source and name in among
    }


def _arrive(
    fleet: HostGroup[RunHost],
    source: RunHost,
    run: RunInfo,
    seen: Outcomes[Snapshot],
    targets: tuple[str, ...],
    began: float,
    *,
    waits: bool,
) -> tuple[RunHost, RunInfo]:
    """Start a run that was withdrawn, on the first of the hosts that takes it."""
    spec = replace(run.spec, machine="", host="", submitted=_NEVER)
    patience = math.inf if spec.patience is None else spec.patience
    refusal: GenvxError | None = None
    attempts = [(fleet.host(name), patience if waits else None) for name in targets]
    # At last back into a line, where it starts soonest: also that of its first host.
    known = {name: each for name, each in seen.succeeded.items() if name in {*targets, source.name}}
    attempts += [(fleet.host(name), patience) for name in soonest(spec.requirements, known)]
    for host, most in attempts:
        if _now() >= began + _SUBMITTED_WITHIN:
            refusal = refusal or StateError("it took too long")
            break
        try:
            return host, submit_to(host, spec, patience=most, tags=run.tags)
        except HostLost:
            raise
        except GenvxError as error:  # refused: there is nothing of it on that host
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def anew(run: RunInfo, submitter: str) -> RunSpec:
    """What is asked to start a run again, as a new one.

    Raises:
        InvalidInput: the run is alive.
    """
    run.require_here("runs restart")
    if not is_over(run.state):
        raise InvalidInput(f"run {run.id} is {name_of(run.state)}; end it first, with runs stop")
    return replace(
        run.spec,
        id=os.urandom(4).hex(),
        restarted=run.id,
        submitter=submitter,
        machine="",
        host="",
        submitted=_NEVER,
    )


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def require_nowhere(host: Host, run: RunInfo, failed: Collection[str]) -> None:
    """Refuse to start a run anew that moves, as long as it may be on another host, or on its way.

    host: where it was withdrawn. failed: the names of the hosts that did not answer.

    Raises:
        InvalidInput: it may be elsewhere.
    """
    if not was_moved(run.state):
        return
    # By the clock of the host itself; one that has been started anew since counts from its boot.
    age = (host.snapshot().boottime_ns - run.state.since.boottime_ns) / 1e9
    if 0 <= age < _ARRIVED_WITHIN:
        raise InvalidInput(
            f"run {run.id} was withdrawn {age:.0f} s ago, and may be on its way to another host; "
            f"try again in {_ARRIVED_WITHIN - age:.0f} s"
        )
    if failed:
        raise InvalidInput(
            f"run {run.id} was moved, and may be on a host that did not answer "
            f"({', '.join(failed)}); name the others with -H to start it all the same"
        )
