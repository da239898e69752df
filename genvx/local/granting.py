"""How a lease is made: choose devices, publish, verify; how an environment gets more or fewer."""

from __future__ import annotations

import contextlib
import os
import random
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.device import VisibleAs
from genvx.core.environments import environments
from genvx.core.grant import Grant
from genvx.core.holdings import conflicts
from genvx.core.lease import Part
from genvx.core.queue import decide
from genvx.core.refusal import Refusal
from genvx.core.text import is_identifier, printable, require_name
from genvx.core.usage import Driver
from genvx.core.value import replace, value
from genvx.errors import (
    InvalidInput,
    NoCapacity,
    StateError,
    UnknownDevice,
    UnknownEnvironment,
    Unsatisfiable,
)
from genvx.local import processes, visibility
from genvx.local.devices.inventory import Inventory
from genvx.local.running.hold import LocalHold
from genvx.local.settling import settled
from genvx.local.state.store import LeaseStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.ask import Ask
    from genvx.core.device import Device
    from genvx.core.environment import Environment
    from genvx.core.lease import Lease
    from genvx.core.requirements import Requirements
    from genvx.local.machine import Machine
    from genvx.local.rules import Rules
    from genvx.local.state.store import HeldLease

# After this many collisions an error is more use than to keep trying. The pause grows with the
# attempts, so that many rivals spread over more time.
MOST_ATTEMPTS = 50
_BACK_OFF = 0.002


def acquire(host: Machine, ask: Ask, ticket: Optional[str] = None) -> LocalHold:
    """See `LocalHost.acquire`. ticket: the id of our own ticket in the line."""
    require_name(ask.name)
    if ask.environment_id is not None and not is_identifier(ask.environment_id):
        raise InvalidInput(f"not the id of an environment: {printable(ask.environment_id, 40)!r}")
    # Short, because people type it. An id is unique together with its owner's uid.
    identifier = ask.environment_id or os.urandom(4).hex()
    rules = host.rules()
    requirements = ask.requirements
    if rules is not None:
        requirements = rules.complete(requirements)
        ask = replace(ask, lasts=rules.time(requirements, ask.lasts))
    seconds = ask.seconds
    blank = host.blank(identifier, ask.name, ask.command, requirements.memory)
    taken = take(host, requirements, blank, rules=rules, ticket=ticket, seconds=seconds)
    grant = Grant(
        environment_id=identifier,
        name=ask.name,
        owner=blank.owner,
        devices=taken.devices,
        memory=requirements.memory,
        notes=taken.notes,
        seconds=seconds,
        lease=taken.held.lease.id,
        visible_as=taken.held.lease.visible_as,
    )
    return LocalHold(host, grant, taken.held)


@value
class Taken:
    """What was taken. notes: lines for the person to read."""

    held: HeldLease
    devices: tuple[Device, ...]
    notes: tuple[str, ...]


def take(
    host: Machine,
    requirements: Requirements,
    blank: Lease,
    *,
    rules: Optional[Rules] = None,
    ticket: Optional[str] = None,
    seconds: Optional[int] = None,
) -> Taken:
    """Choose devices for a lease that has none yet, and publish it; or raise and change nothing.

    An amendment succeeds only while somebody holds its environment. seconds: how long the lease
    lasts.
    """
    notes = visibility.warnings(host) if requirements.gpus else []
    # Before the lock is taken: a driver that hangs would hold the lock for its whole deadline.
    inventory = settled(host, requirements) if requirements.gpus else Inventory(Driver())
    memory = {device.uuid: device.memory for device in inventory.devices}
    chance = random.Random(os.urandom(8))
    for attempt in range(MOST_ATTEMPTS):
        turn = host.store.transaction(notes) if requirements.gpus else contextlib.nullcontext()
        with turn:
            snapshot = host.snapshot_with(inventory, reap=True)
            decision = decide(
                requirements,
                snapshot,
                environment=blank.key,
                # After a collision devices are chosen at random: rivals that follow the same rule
                # would choose the same ones again.
                shuffle=chance if attempt else None,
                ticket=ticket,
            )
            if isinstance(decision, Refusal):
                if decision.never:
                    raise Unsatisfiable(str(decision))
                raise NoCapacity(str(decision), waiting_helps=decision.passing)
            now = processes.boottime_ns()
            lease = replace(
                blank,
                # A new id for each attempt: a withdrawn file may still be in the scan of a rival.
                id=os.urandom(8).hex(),
                since_ns=now,
                devices=tuple(device.uuid for device in decision.devices),
                over=requirements.over,
                visible_as=requirements.visible_as or VisibleAs.UUID,
                expires_ns=None if seconds is None else now + seconds * 10**9,
            )
            if rules is not None:
                rules.refuse_excess(requirements, lease, snapshot.leases, memory)
            held = _claim(host, lease, memory, rules=rules)
        if held is not None:
            return Taken(held, decision.devices, tuple(dict.fromkeys(notes)))
        # The environment may have ended, which looks like a collision; then say so.
        if blank.amends:
            host.mine(blank.environment_id)
        _back_off(chance, attempt)
    raise NoCapacity(
        f"{requirements} wanted, but others kept taking them first; try again in a moment"
    )


def _claim(
    host: Machine,
    lease: Lease,
    memory: Mapping[str, Optional[int]],
    *,
    joins: bool = False,
    rules: Optional[Rules] = None,
    through: Optional[int] = None,
) -> Optional[HeldLease]:
    """Publish a lease, scan again, and withdraw it if another lease conflicts: then return None.

    Every lease goes this way, also one that joins an environment which already holds its devices. A
    scan takes a moment: a rival may find the file of the first member gone and not have listed the
    file of the second yet, and would take the environment for ended. But such a rival has published
    before it scanned, so the process that joins sees its lease here.

    joins: whether another member has to be alive; for an amendment it has to be anyway. rules: the
    policy that the lease must keep. through: a descriptor to hold it by.
    """
    state = host.state
    held = LeaseStore(state).publish(lease, through=through)
    try:
        # Published first, then scanned. If neither of two rivals saw the other, each scan would
        # come before the other's rename, and after its own: a circle, which is impossible. So at
        # least one of them sees the other and withdraws, with or without the lock.
        scan = host.store.scan()
        living = scan.leases
        # The machine may have been provisioned meanwhile, and root may have scanned the former
        # place for the last time. This is checked after publishing; checked before, a change in
        # between would be missed.
        moved = host.state is not state
        if not moved and not any(o.id == lease.id for o in (*living, *scan.amendments)):
            # What we do not find, others do not find either: they would be granted the same
            # devices.
            raise visibility.unseen(held, scan)
        alone = (joins or lease.amends) and not any(
            o.key == lease.key and o.id != lease.id and not o.amends for o in living
        )
        collided = moved or alone or conflicts(lease, living, memory)
        # The limit once more: two acquires of one user at once could each have found room for one.
        excess = rules is not None and rules.excess(lease, living, memory)
    except BaseException:
        # Also on Ctrl-C: a lease that was not verified must not stay published.
        held.withdraw()
        raise
    if not collided and not excess:
        return held
    held.withdraw()
    return None


def join(
    host: Machine,
    environment: str,
    *,
    command: str,
    pid: Optional[int] = None,
    through: Optional[int] = None,
    part: Part = Part.HELD,
) -> LocalHold:
    """Hold an environment of one's own that is alive; see `LocalHost.join`.

    pid: the process on whose behalf we join, for people to read. through: a descriptor of an empty
    file that `LeaseStore.prepare` made; other processes that have it hold the lease, too. part:
    HELD or RESERVED.
    """
    inventory = host.survey() if host.mine(environment).devices else Inventory(Driver())
    memory = {device.uuid: device.memory for device in inventory.devices}
    chance = random.Random(os.urandom(8))
    # A file that a shell has opened can be published only once.
    for attempt in range(MOST_ATTEMPTS if through is None else 1):
        # The lease is dated before the scan, so that devices that are detached meanwhile stay
        # detached.
        blank = host.blank(environment, "", command, None, pid=pid)
        leases = host.own_leases(environment)
        found = environments(leases)[0]
        _refuse_over(found)
        # Attached devices need no holder of their own: we hold what the other members do.
        fellow = next(each for each in leases if not each.amends)
        lease = replace(
            blank,
            id=blank.id if through is None else prepared_id(through),
            name=found.name,
            devices=fellow.devices,
            memory=fellow.memory,
            over=fellow.over,
            visible_as=fellow.visible_as,
            expires_ns=fellow.expires_ns,
            part=part,
        )
        if part is Part.RESERVED:
            lease = replace(lease, pid=0, starttime=0)  # no process holds it
        held = _claim(host, lease, memory, joins=True, through=through)
        if held is not None:
            grant = replace(grant_of(found, inventory), lease=lease.id)
            return LocalHold(host, grant, held)
        _back_off(chance, attempt)
    raise NoCapacity(
        f"environment {found.label} cannot be joined: others keep trying for its devices; try "
        "again in a moment"
    )


def reserve(host: Machine, ask: Ask) -> Grant:
    """See `LocalHost.reserve`.

    The devices are held first, and reserved once that is verified: if we are killed in between,
    nothing is left behind.
    """
    if ask.lasts is None:
        raise InvalidInput("a reservation needs a duration (--for)")
    with acquire(host, ask) as hold:
        require_boot(hold.lease)
        join(
            host, hold.grant.environment_id, command=ask.command, part=Part.RESERVED
        ).leave_to_time()
        return hold.grant


def prepared_id(descriptor: int) -> str:
    """Return the id of the lease for which a shell has opened a prepared file.

    Raises:
        InvalidInput: the descriptor is not open, or not of such a file.
    """
    try:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        raise InvalidInput(f"descriptor {descriptor} is not open") from None
    identifier = name[1:].split(".")[0]
    if not is_identifier(identifier):
        raise InvalidInput(f"descriptor {descriptor} is not that of a file for a lease")
    return identifier


def grant_of(found: Environment, inventory: Inventory) -> Grant:
    """Return an environment as a grant, with its devices as they are now."""
    held = [device for device in inventory.devices if device.uuid in found.devices]
    return Grant(
        environment_id=found.id,
        name=found.name,
        owner=found.owner,
        devices=tuple(sorted(held, key=lambda device: (device.index, device.instance or 0))),
        memory=found.memory,
        seconds=_left(found.expires_ns),
        visible_as=found.visible_as,
    )


def granted(host: Machine, environment: str) -> Grant:
    """See `LocalHost.grant_of`."""
    found = host.mine(environment)
    inventory = host.survey() if found.devices else Inventory(Driver())
    return grant_of(found, inventory)


def attach(host: Machine, environment: str, requirements: Requirements) -> Grant:
    """See `LocalHost.attach`."""
    found = host.mine(environment)
    _refuse_over(found)
    if not requirements.gpus:
        raise InvalidInput("say what to attach: --gpus N or --device ID")
    requirements = replace(requirements, visible_as=found.visible_as)
    blank = replace(
        host.blank(found.id, found.name, found.command, requirements.memory),
        part=Part.ATTACHED,
        pid=0,
        starttime=0,
    )
    require_boot(blank)
    taken = take(host, requirements, blank, rules=host.rules())
    try:
        grant = replace(granted(host, environment), notes=taken.notes)
    except BaseException:
        taken.held.withdraw()
        raise
    taken.held.abandon()
    return grant


def detach(host: Machine, environment: str, devices: Sequence[str] = ()) -> Grant:
    """See `LocalHost.detach`."""
    grant = granted(host, environment)
    wanted = set(devices)
    chosen = [d for d in grant.devices if not wanted or {d.uuid, d.label} & wanted]
    missing = wanted.difference(*({d.uuid, d.label} for d in chosen))
    if missing:
        raise UnknownDevice(
            f"not in this environment: {', '.join(printable(each, 60) for each in sorted(missing))}"
        )
    if not chosen:
        return grant
    lease = replace(
        host.blank(grant.environment_id, grant.name, "", None),
        part=Part.DETACHED,
        pid=0,
        starttime=0,
        devices=tuple(device.uuid for device in chosen),
    )
    require_boot(lease)
    # A detachment gives devices back and takes none, so there is nothing to verify.
    host.store.publish(lease).abandon()
    _forget(host, lease)
    left = tuple(device for device in grant.devices if device not in chosen)
    return replace(grant, devices=left)


def require_boot(lease: Lease) -> None:
    """Raise StateError if this boot is unknown: a lease that needs no holder would not count."""
    if not lease.boot_id:
        raise StateError(
            "this boot has no known id: /proc/sys/kernel/random/boot_id cannot be read"
        )


def _forget(host: Machine, lease: Lease) -> None:
    """Delete amendments of an environment that a later detachment has made obsolete.

    They do no harm; if this fails, they stay until the environment ends.

    A later attachment does not make a detachment obsolete: without the detachment, older leases
    would hold the device again, and perhaps more of it.
    """
    with contextlib.suppress(StateError):
        host.store.remove(
            each
            for each in host.store.scan().amendments
            if each.key == lease.key
            and each.since_ns < lease.since_ns
            and set(each.devices) <= set(lease.devices)
        )


def _back_off(chance: random.Random, attempt: int) -> None:
    """Sleep for a random time, so that rivals separate.

    There is no tie-break by rank: it could evict a lease that was granted already.
    """
    time.sleep(chance.random() * _BACK_OFF * (1 + attempt))


def _refuse_over(found: Environment) -> None:
    """Raise UnknownEnvironment if the time of an environment is over: it is being ended."""
    if found.expires_ns is not None and processes.boottime_ns() >= found.expires_ns:
        raise UnknownEnvironment(f"the time of environment {found.label} is over")


def _left(expires_ns: Optional[int]) -> Optional[int]:
    """Whole seconds until a time of CLOCK_BOOTTIME."""
    if expires_ns is None:
        return None
    return max(0, expires_ns - processes.boottime_ns()) // 10**9
