"""HostGroup asks many hosts at once, collects each answer and each failure, and acts on the best.

Choosing is optimistic: a snapshot may be stale when it is used. Granting is not: the host decides
again, under its own lock. No lock is held across the network.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from genvx.core.block import Block
from genvx.core.limits import exhausted
from genvx.core.text import printable
from genvx.errors import (
    FleetError,
    GenvxError,
    HostError,
    HostLost,
    HostUnreachable,
    NoCapacity,
    UnknownHost,
    Unsatisfiable,
)
from genvx.fleet.defaults import FANOUT
from genvx.fleet.hosts.selection import some_of
from genvx.fleet.outcomes import Outcomes
from genvx.ssh.defaults import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from typing_extensions import TypeVar as _TypeVar

    from genvx.core.placing.refusal import Refusal
    from genvx.core.requests.requirements import Requirements
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.host import Host
    from genvx.ssh.config.want import Locked

    Unlock = Callable[[Mapping[str, Locked]], Mapping[str, GenvxError]]

    # The kind of the hosts: any, where none is named.
    H = _TypeVar("H", bound=Host, default=Host, covariant=True)
else:
    H = TypeVar("H")

K = TypeVar("K", bound="Host")
T = TypeVar("T")

# A host that keeps its deadline ends by itself. One that hangs where no deadline reaches, such as
# in a resolver, gets this many seconds more; then its thread is left behind and reported as failed.
_LEAVE_BEHIND = 2.0

# Rounds of questions with new secrets: a passphrase, and a password that may be wrong twice.
_SECRETS = 4

NO_HOST = "Cannot find a host with enough available resources"
NO_ANSWER = "No host answered"


class HostGroup(Block, Generic[H]):
    """HostGroup is a number of hosts that are asked together.

    fanout: the number of hosts asked at once; 0 asks one after the other in the calling thread.
    timeout: total seconds allowed per host. unlock: fetches the secrets that hosts want and returns
    the hosts for which it failed, and why; the others are asked again. grace: seconds beyond its
    timeout after which a host is left behind.

    Raises:
        UnknownHost: there are no hosts, or two have the same name.
    """

    def __init__(
        self,
        hosts: Sequence[H],
        *,
        fanout: int = FANOUT,
        timeout: float = TIMEOUT,
        unlock: Unlock | None = None,
        grace: float = _LEAVE_BEHIND,
    ) -> None:
        self.hosts = tuple(hosts)
        self._unlock = unlock
        self.fanout = fanout
        self.timeout = timeout
        self._grace = grace
        self._by_name = {host.name: host for host in self.hosts}
        if not self.hosts:
            raise UnknownHost("a fleet has at least one host")
        if len(self._by_name) != len(self.hosts):
            raise UnknownHost("two hosts of a fleet have the same name")

    def host(self, name: str) -> H:
        """Return the host with this name; raise UnknownHost if there is none."""
        try:
            return self._by_name[name]
        except KeyError:
            there = some_of(list(self._by_name))
            shown = printable(name, 60)
            raise UnknownHost(f"no host {shown!r} in this fleet of {there}") from None

    def only(self, names: Collection[str]) -> HostGroup[H]:
        """Return the group of the hosts with these names, on the same connections.

        Raises:
            UnknownHost: it has none of them.
        """
        return HostGroup(
            [host for host in self.hosts if host.name in names],
            fanout=self.fanout,
            timeout=self.timeout,
            unlock=self._unlock,
            grace=self._grace,
        )

    def close(self) -> None:
        """Close every connection."""
        for host in self.hosts:
            host.close()

    def _leave(self) -> None:
        self.close()

    # Questions

    def snapshot(self, on_answer: Callable[[str], None] | None = None) -> Outcomes[Snapshot]:
        """Take a snapshot of every host, all at once.

        on_answer: called with the name of each host that has answered or failed.
        """
        return self.ask(_snapshot, on_answer)

    def ask(
        self, question: Callable[[H], T], on_answer: Callable[[str], None] | None = None
    ) -> Outcomes[T]:
        """Ask every host; wait until each has answered, failed, or run out of time.

        on_answer: called in this thread with the name of each host that has answered or failed.
        """
        succeeded: dict[str, T] = {}
        failed: dict[str, GenvxError] = {}
        for name, value, error in self.stream(question):
            if error is not None:
                failed[name] = error
            else:
                succeeded[name] = value  # type: ignore[assignment]  # no error means a value
            if on_answer is not None:
                on_answer(name)
        return Outcomes(
            {host.name: succeeded[host.name] for host in self.hosts if host.name in succeeded},
            {host.name: failed[host.name] for host in self.hosts if host.name in failed},
        )

    def stream(
        self, question: Callable[[H], T]
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        """Ask every host and yield each outcome as it comes: (name, value, None) or (name, None,
        error).

        Hosts that want a secret come last: the others have answered by the time a person is asked.
        """
        if self._unlock is None:
            yield from self._stream(self.hosts, question)
            return
        # Imported here: this machine and most fleets want no secret.
        from genvx.ssh.config.want import Locked

        hosts = self.hosts
        for _ in range(_SECRETS):
            locked: dict[str, Locked] = {}
            for name, value, error in self._stream(hosts, question):
                if isinstance(error, Locked):
                    locked[name] = error
                else:
                    yield name, value, error
            if not locked:
                return
            hopeless = self._unlock({h.name: locked[h.name] for h in hosts if h.name in locked})
            for name, why in hopeless.items():
                yield name, None, why
            hosts = tuple(self.host(name) for name in locked if name not in hopeless)
        yield from self._stream(hosts, question)

    def _stream(
        self, hosts: Sequence[H], question: Callable[[H], T]
    ) -> Iterator[tuple[str, T | None, GenvxError | None]]:
        if self.fanout == 0:
            for host in hosts:
                yield attempt(host, question)
            return
        import queue

        # Daemon threads and a queue instead of a ThreadPoolExecutor: a pool is joined at exit, so
        # one host that hangs would keep the whole program from ending.
        answers: queue.SimpleQueue[tuple[str, T | None, GenvxError | None]] = queue.SimpleQueue()
        waiting = list(reversed(hosts))
        running: dict[str, float] = {}
        while waiting or running:
            while waiting and len(running) < self.fanout:
                host = waiting.pop()
                running[host.name] = time.monotonic() + self.timeout + self._grace
                thread = threading.Thread(
                    target=lambda host=host: answers.put(attempt(host, question)),
                    name=f"genvx {host.name}",
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError:
                    # The user may have no more threads: go on with those that run. If none runs,
                    # waiting would last for ever.
                    del running[host.name]
                    if not running:
                        raise
                    waiting.append(host)
                    break
            left = min(running.values()) - time.monotonic()
            try:
                answer = answers.get(timeout=max(0.0, left))
            except queue.Empty:
                now = time.monotonic()
                for name in [name for name, end in running.items() if end <= now]:
                    del running[name]
                    yield name, None, _out_of_time(self.timeout)
                continue
            # A host that was left behind has been reported as failed; its late answer is dropped.
            if running.pop(answer[0], None) is not None:
                yield answer

    # Choosing

    def first_with_room(
        self,
        requirements: Requirements,
        act: Callable[[H], T],
        seen: Outcomes[Snapshot] | None = None,
    ) -> T:
        """Take snapshots of all hosts and `act` on the best; after NoCapacity, on the next best.

        seen: snapshots that were just taken, in place of new ones. Where some are old, nothing is
        refused before new ones have been taken.

        Raises:
            NoCapacity: no host has room; `reasons` says why for each host, failed ones included.
            FleetError: all hosts failed. Unsatisfiable: all answered, and none can ever have it.
        """
        if seen is not None and seen.old:
            try:
                return self._first_of(requirements, act, seen)
            except NoCapacity:
                seen = None  # a host without room when it was seen may have some now
        return self._first_of(requirements, act, self.snapshot() if seen is None else seen)

    def _first_of(
        self, requirements: Requirements, act: Callable[[H], T], outcomes: Outcomes[Snapshot]
    ) -> T:
        from genvx.core.placing.ranking import rank

        ranked, refusals = rank(requirements, outcomes.succeeded)
        if not ranked and not outcomes.failed and all(r.never for r in refusals.values()):
            raise unsatisfiable(requirements, refusals)
        full: dict[str, object] = {}
        failed: dict[str, object] = dict(outcomes.failed)
        for name in ranked:
            try:
                return act(self.host(name))
            except NoCapacity as refusal:
                full[name] = refusal
            except HostLost:
                # Something was started there and may still run: a second try on another host could
                # run the command twice.
                raise
            except HostError as error:
                # Nothing was started: `act` raises other HostErrors only before that.
                failed[name] = error
        full.update((name, refusal.found) for name, refusal in refusals.items())
        maybe = (name for name in ranked if not isinstance(full.get(name), Unsatisfiable))
        helps = any(maybe) or any(each.passing for each in refusals.values())
        raise self.nowhere(full, failed, waiting_helps=helps)

    def nowhere(
        self,
        full: Mapping[str, object],
        failed: Mapping[str, object],
        *,
        waiting_helps: bool = False,
    ) -> GenvxError:
        """Make the error for an act that was possible on no host.

        full: why hosts that answered have no room. failed: why the others did not answer.
        waiting_helps: whether one of them may have room later.
        """
        reasons = {**full, **failed}
        names = [host.name for host in self.hosts if host.name in reasons]
        ordered = {name: str(reasons[name]) for name in names}
        if failed and not full:
            return FleetError(NO_ANSWER, reasons=ordered)
        return NoCapacity(NO_HOST, ordered, waiting_helps=waiting_helps)


def unsatisfiable(requirements: Requirements, refusals: Mapping[str, Refusal]) -> Unsatisfiable:
    """Make the error for a request that no host can ever satisfy; it names the most that exist."""
    best = max(refusals, key=lambda name: refusals[name].ever)
    most = refusals[best].ever
    has = f"has more than {most} ({best})" if most else "has any"
    return Unsatisfiable(f"{requirements} wanted on one host, but none {has}")


def _snapshot(host: Host) -> Snapshot:
    return host.snapshot()


def attempt(host: K, question: Callable[[K], T]) -> tuple[str, T | None, GenvxError | None]:
    """Ask one host: (name, value, None), or (name, None, error) after any error."""
    try:
        return host.name, question(host), None
    except GenvxError as error:
        return host.name, None, error
    except Exception as error:  # a fault of genvx on one host must not hide the others' answers
        fault = GenvxError(exhausted(error) or f"a fault of genvx: {type(error).__name__}: {error}")
        fault.__cause__ = error
        return host.name, None, fault


def _out_of_time(timeout: float) -> HostUnreachable:
    return HostUnreachable(f"no answer within {timeout:g} s", kind="timeout")
