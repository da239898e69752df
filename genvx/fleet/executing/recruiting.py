"""Taking devices for workers, and starting them, on the hosts of a fleet."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from genvx.core.placing.spreading import spread
from genvx.core.value import replace
from genvx.errors import AgentError, FleetError, GenvxError, HostError, InvalidInput
from genvx.fleet.ask import HostGroup
from genvx.fleet.executing.launching import WAYS_OUT, launch
from genvx.fleet.executing.printing import say
from genvx.fleet.line import wait_for_room

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genvx.core.requests.ask import Ask
    from genvx.fleet.executing.launching import Wants
    from genvx.fleet.executing.member import Member
    from genvx.fleet.host import Hold, Host


class Recruiter:
    """Recruiter starts workers for an executor, each under a lease of its own.

    A host on which a worker does not start is not tried again. stop: ends the waiting in line when
    it is set, as `stop` does.
    """

    def __init__(
        self, fleet: HostGroup[Host], ask: Ask, wants: Wants, stop: threading.Event
    ) -> None:
        self._fleet = fleet
        self._ask = ask
        self._wants = wants
        self._stop = stop
        self._lock = threading.Lock()
        self._refused: dict[str, HostError] = {}

    def stop(self) -> None:
        """Wait in no line any more."""
        self._stop.set()

    def first(self) -> Member:
        """Start a worker on the best host; wait in line for its devices, if the ask says so.

        Raises:
            NoCapacity, WaitedTooLong, FleetError: as `Fleet.activate`. AgentError: no host can have
            a worker, such as for its version of Python. InvalidInput: as `launch`.
        """
        while True:
            group = self._group()
            host, hold = self._take(group)
            try:
                return self._launch(host, hold)
            except HostError:
                # It is refused now, and the next one is tried.
                continue

    def _take(self, group: HostGroup[Host]) -> tuple[Host, Hold]:
        def acquire(host: Host) -> tuple[Host, Hold]:
            return host, host.acquire(self._ask)

        if self._ask.patience is not None:
            return wait_for_room(group, self._ask, stop=self._stop)
        return group.first_with_room(self._ask.requirements, acquire)

    def _launch(self, host: Host, hold: Hold) -> Member:
        try:
            return launch(host, hold, self._wants)
        except BaseException as error:
            hold.release()
            if isinstance(error, HostError):
                with self._lock:
                    self._refused[host.name] = error
            raise

    def _group(self) -> HostGroup[Host]:
        """The hosts that may have workers; raise why there are none."""
        with self._lock:
            refused = dict(self._refused)
        if not refused:
            return self._fleet
        hosts = [host for host in self._fleet.hosts if host.name not in refused]
        if hosts:
            return HostGroup(hosts, fanout=self._fleet.fanout, timeout=self._fleet.timeout)
        if len(refused) == 1:
            raise next(iter(refused.values()))
        texts = [str(error) for error in refused.values()]
        if all(text.endswith(WAYS_OUT) for text in texts):
            texts = [text.removesuffix(WAYS_OUT) for text in texts]
            raise AgentError("; ".join(texts) + WAYS_OUT)
        raise FleetError(
            "; ".join(texts), reasons={name: str(error) for name, error in refused.items()}
        )

    def room(self, most: int, present: Iterable[str]) -> list[Host]:
        """Return hosts for so many workers more, at most, one for each; empty where none has room.

        present: the hosts of the workers that there are.
        """
        try:
            group = self._group()
        except GenvxError:
            return []
        if self._ask.requirements.gpus:
            seen = group.snapshot().succeeded
            if self._stop.is_set():
                return []
            return [group.host(name) for name in spread(self._ask.requirements, seen, most)]
        counted = Counter(present)
        chosen = []
        for _ in range(most):
            best = min(group.hosts, key=lambda host: counted[host.name])
            counted[best.name] += 1
            chosen.append(best)
        return chosen

    def another(self, host: Host) -> Member | None:
        """Start one more worker on a host; return None if it has no room, or could not be asked.

        A host that cannot have workers is named on our stderr.
        """
        try:
            hold = host.acquire(replace(self._ask, patience=None))
        except GenvxError:
            return None
        if self._stop.is_set():
            hold.release()
            return None
        try:
            return self._launch(host, hold)
        except (HostError, InvalidInput) as error:
            text = str(error)
            said = f"{host.name}: "
            say(host.name, f"no worker: {text.removeprefix(said)}")
            return None
