"""Gangs: devices on several hosts for one job, all or none.

All hosts are tried at once. If some are busy and the gang waits, it gives back the hosts that come
after the first busy one in the order of hosts, and waits for the rest in that order. So a gang that
waits for a host holds only hosts that come before it, and gangs never wait for each other in a
circle.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import TYPE_CHECKING, Generic, TypeVar

from genvx.core.block import Block
from genvx.core.gang import Choice, choose, in_order
from genvx.core.requests.onemodel import choose_one_model
from genvx.core.value import replace
from genvx.errors import GenvxError, HostError, HostLost, NoCapacity, Unsatisfiable, WaitedTooLong
from genvx.fleet.ask import H
from genvx.fleet.stopping import Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from genvx.core.line.standing import Standing
    from genvx.core.requests.ask import Ask
    from genvx.core.snapshot import Snapshot
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.host import Hold
    from genvx.fleet.outcomes import Outcomes

# The number of tries of a gang that does not wait, while snapshots show enough room: rivals may
# have taken some of the hosts, and may give them back because they lack the others.
_TRIES = 6
_BACK_OFF = 0.3
_MOST_THREADS = 128

K = TypeVar("K")
T = TypeVar("T")


class _Lost(Exception):
    """A host failed while a gang was taken; nothing of the gang is held any more."""

    def __init__(self, host: str, error: HostError) -> None:
        super().__init__(host)
        self.host, self.error = host, error


class Gang(Block, Generic[H]):
    """Gang holds devices on several hosts until `release`, the end of its block, or of the process.

    members: each host and its hold, by rank.
    """

    def __init__(self, members: Sequence[tuple[H, Hold]]) -> None:
        self.members = tuple(members)

    def release(self) -> None:
        """Release the devices on all hosts; further calls do nothing."""
        _release([hold for _, hold in self.members])

    def _leave(self) -> None:
        self.release()


def take(
    fleet: HostGroup[H],
    ask: Ask,
    nodes: int,
    *,
    tell: Callable[[str, Standing], None] = lambda host, standing: None,
    seen: Outcomes[Snapshot] | None = None,
    mixed: bool = False,
    stop: threading.Event | None = None,
) -> Gang[H]:
    """Take the same devices on each of `nodes` hosts, or none.

    tell: called with the host that is waited for and the place in its line. seen: snapshots that
    were just taken, in place of new ones. mixed: allow different models of GPU on different hosts.
    stop: ends the waiting when it is set.

    Raises:
        NoCapacity: too few hosts have room now. WaitedTooLong: too few had room in time.
        Unsatisfiable: too few hosts can ever have room.
    """
    end = None if ask.patience is None else monotonic() + ask.patience
    chance = random.Random()
    failed: dict[str, GenvxError] = {}
    stop = Stop(stop)
    for attempt in range(_TRIES if end is None else 1 << 30):
        if stop.is_set():
            raise WaitedTooLong("the wait was cancelled")
        outcomes = fleet.snapshot() if seen is None else seen
        seen = None
        failed.update(outcomes.failed)
        snapshots = {n: s for n, s in outcomes.succeeded.items() if n not in failed}
        every = choose(ask.requirements, snapshots)
        choice = every if mixed else choose_one_model(every, snapshots, nodes)
        chosen = _chosen(fleet, every, nodes, choice, failed, waits=end is not None)
        # The same order for every gang, whatever order its user wrote the hosts in: it is what
        # keeps gangs from waiting for each other.
        order = in_order(chosen, snapshots)
        each = replace(ask, requirements=choice.requirements)
        try:
            held = _together(fleet, each, order)
            if len(held) == nodes:
                return _gang(fleet, held)
            if end is not None:
                return _in_turn(fleet, each, order, held, end, tell, stop)
            _release(list(held.values()))
        except _Lost as lost:
            failed[lost.host] = lost.error
        except WaitedTooLong:
            raise
        except NoCapacity:
            pass  # a host that could have it when we looked cannot any more: choose again
        # At random: gangs that got in each other's way would otherwise do so again, in step.
        sleep(chance.random() * _BACK_OFF * min(8, 1 + attempt))
    raise NoCapacity(
        f"{nodes} hosts with {ask.requirements} each wanted, but others kept taking them; try "
        "again in a moment"
    )


def _gang(fleet: HostGroup[H], held: Mapping[str, Hold]) -> Gang[H]:
    """Make a gang with ranks in the order of the fleet, as people wrote the hosts."""
    return Gang([(host, held[host.name]) for host in fleet.hosts if host.name in held])


def _chosen(
    fleet: HostGroup[H],
    every: Choice,
    nodes: int,
    choice: Choice,
    failed: Mapping[str, GenvxError],
    *,
    waits: bool,
) -> tuple[str, ...]:
    """Return the hosts to take, or raise why there are too few.

    every: the choice if models of GPU may differ.
    """
    ever = len(choice.ready) + len(choice.later)
    one, mixing = "", ""
    if choice is not every:
        one = ", all of one model,"
        if len(every.ready) >= nodes or ever < nodes <= len(every.ready) + len(every.later):
            mixing = "; --mixed takes different models"
    wanted = f"{nodes} hosts with {every.requirements} each{one} wanted"
    if ever < nodes and not failed:
        most = f"at most {ever}" if ever else "none"
        raise Unsatisfiable(f"{wanted}, but {most} can ever have them{mixing}")
    if len(choice.ready) >= nodes:
        return choice.ready[:nodes]
    if waits and ever >= nodes:
        return (*choice.ready, *choice.later)[:nodes]
    reasons = {host: refusal.found for host, refusal in choice.refusals.items()}
    reasons.update((host, str(error)) for host, error in failed.items())
    ordered = {host.name: reasons[host.name] for host in fleet.hosts if host.name in reasons}
    if failed and not choice.ready and not choice.refusals:
        raise fleet.nowhere({}, failed)
    raise NoCapacity(
        f"{wanted}, but {len(choice.ready)} have room now{mixing}",
        ordered,
        waiting_helps=ever >= nodes,
    )


def _together(fleet: HostGroup[H], ask: Ask, order: Sequence[str]) -> dict[str, Hold]:
    """Try all hosts at once; keep the holds before the first busy host, and release the others.

    Raises:
        _Lost: a host failed; nothing is held.
    """

    def acquire(host: str) -> Hold | GenvxError:
        try:
            return fleet.host(host).acquire(ask)
        except (NoCapacity, HostError) as error:
            return error

    # NoCapacity and HostError are results: an exception would undo the holds of all other hosts,
    # of which those before the first busy one are kept.
    ends = at_once(acquire, order, on_interrupt=_give_back)
    held: dict[str, Hold] = {}
    surplus: list[Hold] = []
    lost = next((_Lost(h, end) for h, end in ends.items() if isinstance(end, HostError)), None)
    for host, end in ends.items():
        if isinstance(end, GenvxError):
            continue
        if lost is None and len(held) == list(order).index(host):
            held[host] = end
        else:
            surplus.append(end)
    _release(surplus)
    if lost is not None:
        raise lost
    return held


def _in_turn(
    fleet: HostGroup[H],
    ask: Ask,
    order: Sequence[str],
    held: dict[str, Hold],
    end: float,
    tell: Callable[[str, Standing], None],
    stop: Stop,
) -> Gang[H]:
    """Wait for the missing hosts in order, and hold the others meanwhile."""
    # A host that is lost while we wait for another ends the waiting: the gang cannot be complete.
    gone: list[_Lost] = []
    over = Stop(stop)

    def listen(host: str) -> None:
        def lose(error: HostLost) -> None:
            gone.append(_Lost(host, error))
            over.set()

        held[host].on_loss(lose)

    for host in held:
        listen(host)
    try:
        for host in order:
            if host in held:
                continue
            try:
                # One host after the other: waiting on all at once would hold hosts that come later
                # in the order while an earlier one is missing.
                held[host] = fleet.host(host).wait(
                    replace(ask, patience=max(0.0, end - monotonic())),
                    lambda standing, host=host: tell(host, standing),  # type: ignore[misc]
                    over,
                )
                listen(host)
            except HostError as error:
                raise _Lost(host, error) from None
            except WaitedTooLong as error:
                if gone:
                    raise gone[0] from None
                raise WaitedTooLong(
                    f"got {len(held)} of {len(order)} hosts in time; {host}: {error}"
                ) from None
        return _gang(fleet, held)
    except BaseException:
        _release(list(held.values()))
        raise


def _give_back(end: Hold | GenvxError) -> None:
    if not isinstance(end, GenvxError):
        end.release()


def at_once(
    function: Callable[[K], T], items: Sequence[K], *, on_interrupt: Callable[[T], object]
) -> dict[K, T]:
    """Call the function with each item, each in a thread, and return the results by item.

    on_interrupt: called with each result if a Ctrl-C or the first error of the function ends the
    call; it undoes what the function did.
    """
    with ThreadPoolExecutor(max_workers=max(1, min(len(items), _MOST_THREADS))) as pool:
        works = {item: pool.submit(function, item) for item in items}
        try:
            return {item: work.result() for item, work in works.items()}
        except BaseException:
            # exception() waits for a thread that still runs: what it takes a moment later must be
            # undone as well, or nobody would ever release it.
            for work in works.values():
                if not work.cancel() and work.exception() is None:
                    on_interrupt(work.result())
            raise


def _release(holds: Sequence[Hold]) -> None:
    """Release all at once: a host that hangs must not keep the devices of the others held."""
    threads = [threading.Thread(target=hold.release, daemon=True) for hold in holds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
