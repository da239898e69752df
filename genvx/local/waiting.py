"""Waiting in the line of this machine: a ticket, and a look now and then.

There are no notifications: each waiting process looks by itself whether it is its turn, from the
same facts and by the same rule (core/line/queue.py). A lease that ends makes no event, so they look
now and then for signs that something has come or gone, which is cheap.
"""

from __future__ import annotations

import math
import os
from time import monotonic, sleep
from typing import TYPE_CHECKING, Optional

from genvx.core.line.queue import position_of
from genvx.core.quantities.ages import format_duration
from genvx.core.value import replace
from genvx.errors import NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.local.granting.acquiring import acquire
from genvx.local.joiningline import place_in_line
from genvx.local.looker import Looker

if TYPE_CHECKING:
    from typing import Callable, Protocol

    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Ask
    from genvx.local.machine import Machine
    from genvx.local.running.hold import LocalHold

    class Stop(Protocol):
        """Something that ends the waiting, such as a threading.Event."""

        def wait(self, timeout: float) -> bool:
            """Wait for `timeout` seconds at most; return whether the waiting is to end."""


# Seconds. How often a waiting process looks at the line, at first and at last. In between, the
# pause is this part of the time that it has waited. Each look wakes a sleeping process, which costs
# more than the look itself.
_LOOK = 1.0
_SLOWEST_LOOK = 3.0
_LATENESS = 0.05
# Seconds. How often a ticket says that its holder attends; well below PATIENCE_NS
# (core/line/ticket.py), or a slow holder would lose its place.
_ATTEND = 5.0


def wait(
    host: Machine,
    ask: Ask,
    tell: Callable[[Standing], None] = lambda standing: None,
    stop: Optional[Stop] = None,
) -> LocalHold:
    """Take devices as `LocalHost.acquire` does, and wait in line for them if necessary.

    tell: called with the position in the line when that may have changed. stop: ends the waiting
    when it is set, such as a threading.Event.

    Raises:
        WaitedTooLong: they did not become available in time. Unsatisfiable: they never will.
        StateError: no ticket can be written.
    """
    try:
        return acquire(host, ask)
    except Unsatisfiable:
        raise
    except NoCapacity:
        pass
    patience = math.inf if ask.patience is None else ask.patience
    began = monotonic()
    end = began + patience
    environment_id = ask.environment_id or os.urandom(4).hex()
    ask = replace(ask, environment_id=environment_id)
    looker = Looker(host)
    ticket = place_in_line(host, ask, environment_id)
    held = host.store.queue(ticket)
    hold: Optional[LocalHold] = None
    attended = monotonic()
    try:
        while True:
            snapshot = looker.look()
            position = position_of(ticket.id, snapshot)
            # position_of also returns None for a ticket that does not attend, as after a suspend;
            # that one is still there, and goes on.
            if position is None and not any(each.id == ticket.id for each in snapshot.tickets):
                raise NoCapacity("the ticket is gone from the state directory; wait again")
            if position is not None and position.offered:
                try:
                    # An offer is only a turn, no grant: the acquire publishes and verifies as any
                    # other.
                    hold = acquire(host, ask, ticket.id)
                    return hold
                except Unsatisfiable:
                    raise
                except NoCapacity:
                    # The line said yes, the acquire no: what we know of the devices is outdated.
                    looker.forget()
            if position is not None:
                tell(position.standing)
            now = monotonic()
            if now >= end:
                reason = f": {position.reason}" if position is not None else ""
                raise WaitedTooLong(
                    f"{ask.requirements} not free within {format_duration(patience)}{reason}"
                )
            if position is None:
                looker.forget()
            if now >= attended + _ATTEND or position is None:
                held.attend(snapshot.boottime_ns)
                attended = now
            while True:
                now = monotonic()
                look = min(_SLOWEST_LOOK, max(_LOOK, (now - began) * _LATENESS))
                if pause(max(0.0, min(look, end - now)), stop):
                    raise WaitedTooLong("the waiting was ended")
                if monotonic() >= end or looker.has_news():
                    break
    except BaseException:
        # Interrupted between the grant and the return: nobody else could release it.
        if hold is not None:
            hold.release()
        raise
    finally:
        looker.close()
        # After the lease is verified, so that the devices are never free between ticket and lease.
        held.withdraw()


def pause(seconds: float, stop: Optional[Stop]) -> bool:
    """Sleep, or until the waiting is ended; return whether it is ended."""
    if stop is not None:
        return stop.wait(seconds)
    sleep(seconds)
    return False
