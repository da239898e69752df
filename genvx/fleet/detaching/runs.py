"""Runs on the hosts of a fleet: where one starts or waits, where one is, and its log through
connections that are cut.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from genvx.core.runs.run import MOST_PATIENCE
from genvx.core.runs.rungang import decisive, together
from genvx.core.runs.runinfo import LogPiece
from genvx.core.runs.runselect import find, without_moved
from genvx.core.runs.runstate import is_over, name_of
from genvx.core.text import NAME_LIMIT, printable
from genvx.core.value import replace
from genvx.core.wire.runoperations import MOST_RUNS, FindRuns, ListRuns, LogEnd, WatchRun
from genvx.errors import (
    HostError,
    HostLost,
    HostUnreachable,
    NoCapacity,
    NotOwner,
    ProtocolError,
    TreeMissing,
    UnknownRun,
    Unsatisfiable,
)
from genvx.fleet.detaching.submission import at
from genvx.fleet.typed import typed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from genvx.core.leases.starter import Starter
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.runinfo import RunInfo
    from genvx.core.snapshot import Snapshot
    from genvx.core.wire.runoperations import LogNews
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.host import Host
    from genvx.fleet.outcomes import Outcomes
    from genvx.fleet.shipping.shipment import Sent

    class RunHost(Host, Protocol):
        """A host that has runs."""

        def submit(
            self, spec: RunSpec, *, patience: float | None = None, tags: tuple[str, ...] = ()
        ) -> RunInfo: ...

        def submit_and_watch(
            self,
            spec: RunSpec,
            pause: Callable[[float], bool],
            *,
            reports: bool = False,
            patience: float | None = None,
            tags: tuple[str, ...] = (),
        ) -> tuple[RunInfo, Iterator[LogNews]]: ...

        def send_tree(self, shipment: Any, sent: Sent = ...) -> None: ...

        def watch(self, asked: WatchRun, pause: Callable[[float], bool]) -> Iterator[LogNews]: ...

        def enter(self, run: str, *, command: str = "") -> Starter: ...


# How often, and how far apart, a host is asked again whose connection was cut while its run was
# watched.
_TRIES = 30
_PAUSE = 1.0
# How soon a host is asked again whether a run has ended: at first, and at last.
_SOON, _LATER = 0.05, 1.0


def submit(
    fleet: HostGroup[RunHost],
    spec: RunSpec,
    seen: Outcomes[Snapshot],
    *,
    patience: float | None = None,
    tags: tuple[str, ...] = (),
    ship: Callable[[RunHost], object] | None = None,
) -> tuple[RunHost, RunInfo]:
    """Start a run on the best host; with patience, have it wait in line on the host where it will
    probably start soonest, if none has room.

    seen: snapshots of the hosts; new ones are taken before it waits. ship: as for `submit_to`.

    Raises:
        NoCapacity: no host has the room. FleetError: no host answered. HostLost: the connection
        ended before the host said whether it has accepted the run.
    """

    def start(host: RunHost) -> tuple[RunHost, RunInfo]:
        return host, submit_to(host, asked, tags=tags, ship=ship)

    def line_up(host: RunHost) -> tuple[RunHost, RunInfo]:
        return host, submit_to(host, asked, patience=patience, tags=tags, ship=ship)

    if patience is None:
        asked = spec
        return fleet.first_with_room(spec.requirements, start, seen)
    # Its record says that it may wait, also where it need not: a restart goes by that.
    asked = replace(spec, patience=min(patience, MOST_PATIENCE))
    try:
        return fleet.first_with_room(spec.requirements, start, seen)
    except Unsatisfiable:
        raise
    except NoCapacity:
        # Imported here: only a run that waits needs it.
        from genvx.core.runs.forecast import soonest

        # Only now in line, and by new snapshots: many runs may be started at the same time, and by
        # those from before they would all wait on the host that seemed best to each of them.
        seen = fleet.snapshot()
    for name in soonest(spec.requirements, seen.succeeded):
        try:
            return line_up(fleet.host(name))
        except Unsatisfiable:
            continue
    return fleet.first_with_room(spec.requirements, line_up, seen)


def submit_to(
    host: RunHost,
    spec: RunSpec,
    *,
    patience: float | None = None,
    tags: tuple[str, ...] = (),
    ship: Callable[[RunHost], object] | None = None,
) -> RunInfo:
    """Start a run on one host, or have it wait in line there.

    ship: sends the project of the run to a host that does not have it.

    Raises: as `Host.acquire`. TreeMissing: the host does not have it, and nobody sends it.
    HostLost: the connection ended before the host said whether it has accepted the run; to start it
    on another host would perhaps run it twice.
    """
    try:
        # Asked with the run itself: a host that has its project, as most have, is asked once.
        return _submit_to(host, spec, patience, tags)
    except TreeMissing as error:
        if ship is None:
            raise TreeMissing(f"{host.name}: {error}") from None
    ship(host)
    return _submit_to(host, spec, patience, tags)


def _submit_to(
    host: RunHost, spec: RunSpec, patience: float | None, tags: tuple[str, ...]
) -> RunInfo:
    try:
        return host.submit(at(spec, host), patience=patience, tags=tags)
    except HostError as error:
        raise HostLost(
            f"{host.name}: {error}; whether run {spec.id} was accepted there is not known: "
            f"{typed(host)} runs shows it"
        ) from None


def locate(
    fleet: HostGroup[RunHost],
    found: Outcomes[tuple[RunInfo, ...]],
    wanted: str,
    *,
    deleted: bool = False,
    typed: str = "genvx remote",
) -> tuple[RunHost, RunInfo]:
    """The run that is meant, and its host; of a gang its first part. Raises: as `locate_parts`."""
    return locate_parts(fleet, found, wanted, deleted=deleted, typed=typed)[0]


def locate_parts(
    fleet: HostGroup[RunHost],
    found: Outcomes[tuple[RunInfo, ...]],
    wanted: str,
    *,
    deleted: bool = False,
    typed: str = "genvx remote",
) -> tuple[tuple[RunHost, RunInfo], ...]:
    """The run that is meant, and its host; of a gang all parts that were found, by rank.

    found: what the hosts answered to FindRuns. deleted, typed: as for core.runselect.find.

    Raises:
        UnknownRun: there is none, or several are meant. NotOwner: it is another user's. FleetError:
        no host answered.
    """
    if not found.succeeded and not any(isinstance(e, NotOwner) for e in found.failed.values()):
        raise fleet.nowhere({}, found.failed)
    groups = together((name, run) for name, runs in found.succeeded.items() for run in runs)
    try:
        runs = [parts[0][1] for parts in groups]
        meant = find(runs, wanted, deleted=deleted, typed=typed)
    except UnknownRun as error:
        for failure in found.failed.values():
            if isinstance(failure, NotOwner):
                raise failure from None
        if found.failed:
            raise UnknownRun(f"{error}; {len(found.failed)} hosts did not answer") from None
        raise
    parts = next(parts for parts in groups if parts[0][1] is meant)
    return tuple((fleet.host(name), run) for name, run in parts)


def grouped(
    found: Outcomes[tuple[RunInfo, ...]],
    asked: ListRuns,
    ask: Callable[[ListRuns], Outcomes[tuple[RunInfo, ...]]],
) -> list[tuple[tuple[str, RunInfo], ...]]:
    """Runs with the names of their hosts, the newest first, and the parts of a gang together.

    found: what the hosts answered to `asked`. ask: asks them again where parts are missing.
    """

    def groups(answers: Outcomes[tuple[RunInfo, ...]]) -> list[tuple[tuple[str, RunInfo], ...]]:
        places = [(name, run) for name, runs in answers.succeeded.items() for run in runs]
        kept = set(map(id, without_moved([run for _, run in places])))
        # A machine that is there under two names shows a run twice.
        once: dict[object, tuple[str, RunInfo]] = {}
        for name, run in places:
            if id(run) in kept:
                rank = None if run.spec.part is None else run.spec.part.rank
                once.setdefault((run.id, run.spec.machine, rank), (name, run))
        return together(once.values())

    def misses_parts(parts: tuple[tuple[str, RunInfo], ...]) -> bool:
        part = parts[0][1].spec.part
        return part is not None and len(parts) < len(part.nodes)

    rows = groups(found)
    wanted = asked.narrowed.states
    if wanted and any(map(misses_parts, rows)):
        # Each host knows the state of its own part only, and has left others out.
        every = replace(asked, narrowed=replace(asked.narrowed, states=()), most=MOST_RUNS)
        whole = {parts[0][1].id: parts for parts in groups(ask(every))}
        rows = [whole.get(row[0][1].id, row) if misses_parts(row) else row for row in rows]
        rows = [row for row in rows if name_of(decisive([run for _, run in row]).state) in wanted]
    return sorted(rows, key=lambda row: row[0][1].age_key, reverse=True)


def question(
    wanted: str, *, deleted: bool = False, others: bool = False, copies: bool = False
) -> Callable[[Host], tuple[RunInfo, ...]]:
    """What a host is asked to find a run. deleted: one in the trash. others, copies: as of
    FindRuns.

    Raises:
        UnknownRun: no run can be called so.
    """
    if len(wanted) > NAME_LIMIT:
        raise UnknownRun(f"no run {printable(wanted, 60)!r}")
    return lambda host: host.answer(FindRuns(wanted, deleted, others, copies))


def ended(host: Host, run: RunInfo) -> RunInfo:
    """Wait for the end of a run that was told to stop; its GPUs are free then. Return it as it is
    then, or as it was if that cannot be seen any more.

    Raises:
        HostError: the host could not be asked.
    """
    pause = _SOON
    while True:
        (found,) = host.answer(FindRuns(run.id, others=True)) or (run,)
        # Root sees a run of another user only while it lives.
        if found is run or is_over(found.state):
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, _LATER)


def _pause(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def watch(
    host: RunHost,
    asked: WatchRun,
    tell: Callable[[str], None] = lambda line: None,
    pause: Callable[[float], bool] = _pause,
) -> Generator[LogNews, None, None]:
    """How a run is, and its log as it grows; the last is a LogEnd. Where the connection is cut it
    goes on behind the last piece: no byte comes twice, and none is missing.

    tell: called with a line when the connection is cut. pause: waits so many seconds; True ends the
    watching, then without a LogEnd of a run that has ended.

    Raises:
        UnknownRun: there is none. HostError: the host cannot be reached any more.
    """
    failures = 0
    while True:
        try:
            for news in host.watch(asked, pause):
                failures = 0
                if isinstance(news, LogPiece):
                    asked = replace(asked, offset=news.at + len(news.data))
                yield news
                if isinstance(news, LogEnd):
                    return
            return  # `pause` has ended it
        except (HostUnreachable, ProtocolError) as error:
            failures += 1
            if failures == 1:
                tell(f"{host.name}: {error}; connecting again")
            if failures >= _TRIES:
                raise
            if pause(_PAUSE):
                return
