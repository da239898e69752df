"""Waiting in the lines of many hosts at once: the first that has room is taken, the others are
left.

Each host keeps its own line, and the ticket there lives as long as our connection. Nothing is
asked over the network meanwhile: hosts tell us.

On one host, where we are nearest to our turn, our ticket keeps what becomes free until it is
enough. On the others it does not: if it did, one large request would have all hosts stand idle
(scripts/simulate).
"""

from __future__ import annotations

import math
import queue
import threading
from typing import TYPE_CHECKING

from genvx.core.placement import possible
from genvx.core.queue import nearest
from genvx.errors import GenvxError, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.fleet.fleet import NO_HOST, Fleet, Hold, Host, Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.core.queue import Standing
    from genvx.core.request import Requirements
    from genvx.core.snapshot import Snapshot


def wait_for_room(
    fleet: Fleet,
    requirements: Requirements,
    *,
    name: str = "",
    command: str = "",
    patience: float = math.inf,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
    seen: Outcomes[Snapshot] | None = None,
    time: float | None = None,
) -> tuple[Host, Hold]:
    """Take devices on the best host that has them; or wait in line on each that ever could, and
    take the first that has.

    patience: seconds to wait at most. tell: is told how it stands on a host, in other threads.
    seen: what looking has given, where somebody has looked just now. time: seconds that they are
    held at most.

    Raises:
        WaitedTooLong: they were not to be had in time; `reasons` says how it stood, host by host.
        Unsatisfiable: no host ever has them. NoCapacity: the hosts that might have them failed.
    """
    outcomes = fleet.snapshot() if seen is None else seen
    try:
        return fleet.first_with_room(
            requirements,
            lambda host: (
                host,
                host.acquire(requirements, name=name, command=command, time=time),
            ),
            outcomes,
        )
    except Unsatisfiable:
        raise
    except NoCapacity as refusal:
        lines = [
            fleet.host(host)
            for host, snapshot in outcomes.succeeded.items()
            if possible(requirements, snapshot) >= requirements.gpus
        ]
        keeper = nearest(requirements, {host.name: outcomes.succeeded[host.name] for host in lines})
        if not lines:
            raise
        reasons = dict(refusal.reasons)
    race = _Race(len(lines))
    for host in lines:
        threading.Thread(
            target=race.run,
            args=(host, requirements, name, command, patience, tell, time, host.name == keeper),
            name=f"genvx waits on {host.name}",
            daemon=True,
        ).start()
    return race.winner(fleet, reasons)


class _Race:
    """Hosts that are waited for at once; one wins, and whatever comes later is given back."""

    def __init__(self, running: int) -> None:
        self._running = running
        self._stop = threading.Event()
        self._won = False
        self._lock = threading.Lock()
        self._ends: queue.SimpleQueue[tuple[Host, Hold | GenvxError]] = queue.SimpleQueue()

    def run(
        self,
        host: Host,
        requirements: Requirements,
        name: str,
        command: str,
        patience: float,
        tell: Callable[[str, Standing], None],
        time: float | None,
        keeps: bool,
    ) -> None:
        def news(standing: Standing) -> None:
            if not self._stop.is_set():
                tell(host.name, standing)

        end: Hold | GenvxError
        try:
            end = host.wait(
                requirements,
                name=name,
                command=command,
                patience=patience,
                tell=news,
                stop=self._stop,
                time=time,
                keeps=keeps,
            )
        except GenvxError as error:
            end = error
        except Exception as error:  # a fault of genvx on one host must not end the others' waiting
            end = GenvxError(f"a fault of genvx: {type(error).__name__}: {error}")
        if not isinstance(end, GenvxError):
            with self._lock:
                late, self._won = self._won or self._stop.is_set(), True
            self._stop.set()
            if late:
                end.release()
                return
        self._ends.put((host, end))

    def winner(self, fleet: Fleet, reasons: dict[str, str]) -> tuple[Host, Hold]:
        """Wait for the first, or until all have given up."""
        over = False
        try:
            for _ in range(self._running):
                host, end = self._ends.get()
                if not isinstance(end, GenvxError):
                    return host, end
                over = over or isinstance(end, WaitedTooLong)
                reasons[host.name] = str(end)
        finally:
            self._stop.set()
        ordered = {host.name: reasons[host.name] for host in fleet.hosts if host.name in reasons}
        raise (WaitedTooLong if over else NoCapacity)(NO_HOST, ordered)
