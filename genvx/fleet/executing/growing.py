"""When an executor gets more workers: while calls wait, and where there is room."""

from __future__ import annotations

import functools
import threading
import time
from typing import TYPE_CHECKING

from genvx.errors import GenvxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.fleet.executing.member import Member
    from genvx.fleet.executing.recruiting import Recruiter
    from genvx.fleet.host import Host

# Seconds between searches for more room.
_AGAIN = 10.0


class Growth:
    """Growth has workers started by threads of its own; its methods are for the executor's thread.

    limit: the most workers. tell: has the executor's thread call a function. join: takes a worker
    in. fail: told why there is no worker at all.
    """

    def __init__(
        self,
        recruiter: Recruiter,
        limit: int,
        *,
        tell: Callable[[Callable[[], object]], object],
        join: Callable[[Member], object],
        fail: Callable[[BaseException], object],
    ) -> None:
        self._recruiter = recruiter
        self._limit = limit
        self._tell = tell
        self._join = join
        self._fail = fail
        self._starting = 0
        self._searching = False
        self._search_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether a worker may come."""
        return self._searching or self._starting > 0

    def stop(self) -> None:
        """Leave the lines in which we wait."""
        self._recruiter.stop()

    def soon(self) -> None:
        """Search as soon as a worker is of use: devices have become free."""
        self._search_at = 0.0

    def look(self, waiting: int, hosts: tuple[str, ...]) -> None:
        """Have as many workers started as are of use.

        waiting: how many calls wait. hosts: of the workers that there are.
        """
        present = len(hosts) + self._starting
        wanted = min(self._limit - present, waiting - self._starting)
        if wanted <= 0 or self._searching:
            return
        if present and time.monotonic() < self._search_at:
            return

        def search() -> None:
            first: Member | None = None
            found: list[Host] = []
            error: BaseException | None = None
            try:
                if not present:
                    first = self._recruiter.first()
                more = wanted - (first is not None)
                if more:
                    found = self._recruiter.room(more, hosts)
            except BaseException as caught:  # also a fault of ours: calls would wait for ever
                error = caught
            self._tell(lambda: self._searched(wanted, first, found, error))

        # No thread can be started at the end of the program, nor where the user has too many.
        self._searching = _in_thread(search, "genvx recruiter")
        if not self._searching:
            self._search_at = time.monotonic() + _AGAIN
            if not present:
                self._fail(GenvxError("no thread can be started to get a worker"))

    def _searched(
        self,
        wanted: int,
        first: Member | None,
        found: list[Host],
        error: BaseException | None,
    ) -> None:
        self._searching = False
        if first is not None:
            self._join(first)
        elif error is not None:
            self._fail(error)
        if len(found) + (first is not None) < wanted:
            self._search_at = time.monotonic() + _AGAIN
        for host in found:
            start = functools.partial(self._start, host)
            self._starting += _in_thread(start, f"genvx {host.name}")

    def _start(self, host: Host) -> None:
        member: Member | None = None

        def done() -> None:
            self._starting -= 1
            if member is not None:
                self._join(member)

        try:
            member = self._recruiter.another(host)
        finally:
            self._tell(done)


def _in_thread(act: Callable[[], object], name: str) -> bool:
    """Call a function in a thread; return False if none can be started."""
    try:
        # A daemon: a host that hangs must not keep the program from ending.
        threading.Thread(target=act, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True
