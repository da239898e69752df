"""Looks at each host of a fleet, once a second while a page is open, and not at all while none is.

Each host has a thread of its own: one that is slow or down delays what is seen of no other.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from genvx.core.runs.runstate import is_over
from genvx.fleet.ask import HostGroup
from genvx.watching.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.host import Host
    from genvx.watching.sight import Sight

    # Gets what a host has shown, our runs there, and who we are there; None: that is not known.
    Show = Callable[[Sight, tuple[RunInfo, ...] | None, str | None], object]

EVERY = 1.0
# Seconds between two questions to a host that failed: at first, and at last.
_AGAIN, _RARELY = 2.0, 15.0
# Seconds between two questions about runs, if nothing on the host says that one has changed.
_RUNS_EVERY = 3.0
# So long the hosts are looked at after a program has asked once.
_ASKED_FOR = 10.0


class Looks:
    """Looks at the hosts of a fleet, for pages that are open.

    show: called from many threads. every: seconds from one look at a host to the next. who: finds
    out who we are on a host, where that is wanted.
    """

    def __init__(
        self,
        fleet: HostGroup[Host],
        show: Show,
        *,
        every: float = EVERY,
        who: Callable[[Host], str | None] = lambda host: None,
    ) -> None:
        self._fleet = fleet
        self._show = show
        self._who = who
        self._every = every
        self._turns = threading.BoundedSemaphore(max(1, fleet.fanout))
        self._changed = threading.Condition()
        self._pages = 0
        self._until = 0.0
        self._opened = 0
        self._over = False

    def run(self) -> None:
        """Look at each host once, in this thread, which may ask a person for passwords; then go on
        in others. Ends by an exception, such as that of a signal, or by `stop`.
        """
        hosts = {host.name: host for host in self._fleet.hosts}
        for sight in Rounds(self._fleet).round():
            self._show(sight, None, None)
            thread = threading.Thread(
                target=self._look_again, args=(hosts[sight.host],), name="genvx look", daemon=True
            )
            thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._over)

    def stop(self) -> None:
        """Have every look be the last one."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def open_page(self) -> None:
        """Look from now on, until as many pages are closed as were opened."""
        with self._changed:
            self._pages += 1
            self._opened += self._pages == 1
            self._changed.notify_all()

    def close_page(self) -> None:
        """One page less is open."""
        with self._changed:
            self._pages -= 1

    def ask(self) -> None:
        """Look for a while, for a program that asks again and again."""
        with self._changed:
            self._opened += not self._wanted()
            self._until = time.monotonic() + _ASKED_FOR
            self._changed.notify_all()

    def _wanted(self) -> bool:
        return self._pages > 0 or time.monotonic() < self._until

    def _look_again(self, host: Host) -> None:
        rounds = Rounds(HostGroup([host], fanout=0, timeout=self._fleet.timeout))
        runs: tuple[RunInfo, ...] | None = None
        user: str | None = None
        asked, before, pause = 0.0, None, self._every
        while self._rest(pause):
            begun = time.monotonic()
            with self._turns:
                (sight,) = rounds.round()
                if sight.snapshot is not None:
                    # A run that begins or ends, or whose place changes, changes one of these.
                    signs = (sight.snapshot.leases, sight.snapshot.tickets)
                    if signs != before or begun - asked >= _RUNS_EVERY:
                        runs = rounds.runs().get(host.name)
                        user = self._who(host)
                        asked = begun
                        # What a run leaves behind comes a little later than its devices are free.
                        before = signs if not _unsettled(runs, signs) else None
            self._show(sight, runs, user)
            if sight.error is None:
                pause = max(0.0, begun + self._every - time.monotonic())
            else:
                failing = pause >= _AGAIN
                pause = min(_RARELY, pause * 2) if failing else _AGAIN

    def _rest(self, seconds: float) -> bool:
        """Wait so long, and until a page is open, but no longer than until one is opened where none
        was. Return whether to go on.
        """
        end = time.monotonic() + seconds
        with self._changed:
            opened = self._opened
            while not self._over:
                left = end - time.monotonic()
                if self._wanted() and (left <= 0 or self._opened != opened):
                    return True
                self._changed.wait(left if self._wanted() else None)
        return False


def _unsettled(runs: tuple[RunInfo, ...] | None, signs: tuple[tuple[object, ...], ...]) -> bool:
    """Whether runs are said to be under way although nothing is held or waits."""
    living = [run for run in runs or () if not is_over(run.state)]
    return bool(living) and not any(signs)
