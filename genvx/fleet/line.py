"""Waiting in the lines of many hosts at once: the first host with room wins, the others are left.

Each host keeps its own line, and a ticket there lives as long as our connection. We do not poll:
hosts report changes.

On one host, where our turn is nearest, our ticket keeps devices that become free until there are
enough. On the others it does not: otherwise one large request would keep devices of all hosts idle
(scripts/simulate).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from genvx.core.line.queue import nearest
from genvx.core.placing.refusing import possible
from genvx.core.value import replace
from genvx.errors import FleetError, GenvxError, HostError, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.fleet.ask import NO_HOST, HostGroup
from genvx.fleet.terminals.race import Race

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Ask
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.host import Giver, Hold
    from genvx.fleet.outcomes import Outcomes

D = TypeVar("D", bound="Hold")


def wait_for_room(
    fleet: HostGroup[Giver[D]],
    ask: Ask,
    *,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
    seen: Outcomes[Snapshot] | None = None,
    stop: threading.Event | None = None,
) -> tuple[Giver[D], D]:
    """Take devices on the best host that has them now; otherwise wait in the line of each host that
    can ever have them, and take them on the first that does.

    tell: called with a host and the place in its line, in other threads. seen: snapshots that were
    just taken, in place of new ones. stop: ends the waiting when it is set.

    Raises:
        WaitedTooLong: no host had room in time; `reasons` says why for each. Unsatisfiable: no host
        can ever have room. NoCapacity: the hosts that could have room failed. FleetError: all hosts
        failed.
    """
    requirements = ask.requirements
    outcomes = fleet.snapshot() if seen is None else seen

    def acquire(host: Giver[D]) -> tuple[Giver[D], D]:
        return host, host.acquire(ask)

    try:
        return fleet.first_with_room(requirements, acquire, outcomes)
    except Unsatisfiable:
        raise
    except (NoCapacity, FleetError) as refusal:
        seen_there = {
            host: snapshot
            for host, snapshot in outcomes.succeeded.items()
            if possible(requirements, snapshot) >= requirements.gpus
        }
        if not seen_there:
            raise
        reasons = dict(refusal.reasons)
        lost = set(outcomes.failed)

    # The same id on all hosts: people see one request in several lines, not several requests.
    ask = replace(ask, environment_id=os.urandom(4).hex())

    def wait(host: Giver[D], stop: threading.Event, keeps: bool) -> D:
        def news(standing: Standing) -> None:
            if not stop.is_set():
                tell(host.name, standing)

        return host.wait(replace(ask, keeps=keeps), news, stop)

    race: Race[D] = Race(wait, stop)
    keeper = nearest(requirements, seen_there)
    for host in seen_there:
        race.enter(fleet.host(host), keeps=host == keeper)
    over = False
    for found, end in race.ends():
        if not isinstance(end, GenvxError):
            return found, end
        over = over or isinstance(end, WaitedTooLong)
        reasons[found.name] = str(end)
        if isinstance(end, HostError):
            lost.add(found.name)
        seen_there.pop(found.name, None)
        if found.name == keeper and isinstance(end, HostError):
            # Another host must keep devices for us now, or small requests could starve this one.
            keeper = nearest(requirements, seen_there)
            if keeper is not None:
                race.enter(fleet.host(keeper), keeps=True)
    if over:
        ordered = {host.name: reasons[host.name] for host in fleet.hosts if host.name in reasons}
        raise WaitedTooLong(NO_HOST, ordered)
    raise fleet.nowhere(
        {host: reason for host, reason in reasons.items() if host not in lost},
        {host: reason for host, reason in reasons.items() if host in lost},
    )
