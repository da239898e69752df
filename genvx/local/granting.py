"""How a lease comes to be: chosen, published, and verified; and how an environment gets more, or
fewer.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
from typing import TYPE_CHECKING, Optional

from genvx.core.device import Driver, VisibleAs
from genvx.core.grant import Grant
from genvx.core.lease import Part, conflicts, environments
from genvx.core.placement import Refusal
from genvx.core.queue import decide
from genvx.core.text import is_identifier, printable, require_name
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
    from genvx.core.lease import Environment, Lease
    from genvx.core.requirements import Requirements
    from genvx.local.machine import Machine
    from genvx.local.rules import Rules
    from genvx.local.state.store import HeldLease

MOST_ATTEMPTS = 50
_BACK_OFF = 0.002


def acquire(host: Machine, ask: Ask, ticket: Optional[str] = None) -> LocalHold:
    """See `LocalHost.acquire`. ticket: the id of our own place in the line."""
    require_name(ask.name)
    if ask.environment_id is not None and not is_identifier(ask.environment_id):
        raise InvalidInput(f"not the id of an environment: {printable(ask.environment_id, 40)!r}")
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
        environment=identifier,
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
    """What was had. notes: lines that the person should read."""

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

    One that amends an environment is had only while somebody holds that. seconds: after which it
    ends.
    """
    notes = visibility.warnings(host) if requirements.gpus else []
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
        if blank.amends:
            host.mine(blank.environment)
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
    """Publish a lease, look again, and withdraw it if another's is in the way: then None.

    Every lease goes this way, also one that joins an environment which holds its devices already. A
    scan takes a moment: a rival that has listed the files may find the first member's gone and not
    have listed the second's, and would take the environment for ended. Such a rival has published
    before it listed, so whoever joins after that sees it here.

    joins: it must have a fellow, too; whatever amends an environment must. rules: of the policy,
    which it must keep. through: a descriptor to hold it by.
    """
    state = host.state
    held = LeaseStore(state).publish(lease, through=through)
    try:
        scan = host.store.scan()
        living = scan.leases
        # Provisioned meanwhile: the last look at the former place may be over. Asked after
        # publishing, or that could be missed here, too.
        moved = host.state is not state
        if not moved and not any(o.id == lease.id for o in (*living, *scan.amendments)):
            raise visibility.unseen(held, scan)
        alone = (joins or lease.amends) and not any(
            o.key == lease.key and o.id != lease.id and not o.amends for o in living
        )
        collided = moved or alone or conflicts(lease, living, memory)
        excess = rules is not None and rules.excess(lease, living, memory)
    except BaseException:
        # An interrupt too: what was not verified must not stay published.
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
    """Hold on to an environment of one's own that is alive; see `LocalHost.join`.

    pid: of the process for which we do it, for people to read. through: a descriptor of an empty
    file where `LeaseStore.prepare` says; whoever else has it holds the lease too. part: HELD or
    RESERVED.
    """
    inventory = host.survey() if host.mine(environment).devices else Inventory(Driver())
    memory = {device.uuid: device.memory for device in inventory.devices}
    chance = random.Random(os.urandom(8))
    for attempt in range(MOST_ATTEMPTS if through is None else 1):
        # Since before we look: what is detached just then is not brought back by us.
        blank = host.blank(environment, "", command, None, pid=pid)
        leases = host.own_leases(environment)
        found = environments(leases)[0]
        _refuse_over(found)
        # What was attached needs no holder of its own: we hold what the others do.
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
            lease = replace(lease, pid=0, starttime=0)  # nobody's
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

    Held first, and reserved when that is verified: if we are killed in between, nothing is left.
    """
    if ask.lasts is None:
        raise InvalidInput("a reservation needs a duration (--for)")
    with acquire(host, ask) as hold:
        require_boot(hold.lease)
        join(host, hold.grant.environment, command=ask.command, part=Part.RESERVED).leave_to_time()
        return hold.grant


def prepared_id(descriptor: int) -> str:
    """The id of the lease for which somebody has opened a file.

    Raises:
        InvalidInput: it was not.
    """
    try:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
    except OSError:
        raise InvalidInput(f"descriptor {descriptor} is not open") from None
    identifier = name[1:].split(".")[0]
    if not is_identifier(identifier):
        raise InvalidInput(f"descriptor {descriptor} is not one of a lease")
    return identifier


def grant_of(found: Environment, inventory: Inventory) -> Grant:
    """An environment with its devices as they are now."""
    held = [device for device in inventory.devices if device.uuid in found.devices]
    return Grant(
        environment=found.id,
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
        host.blank(grant.environment, grant.name, "", None),
        part=Part.DETACHED,
        pid=0,
        starttime=0,
        devices=tuple(device.uuid for device in chosen),
    )
    require_boot(lease)
    # Whatever gives something back takes nothing from anybody: there is nothing to verify.
    host.store.publish(lease).abandon()
    _forget(host, lease)
    left = tuple(device for device in grant.devices if device not in chosen)
    return replace(grant, devices=left)


def require_boot(lease: Lease) -> None:
    """What lives without a holder is told by its boot; raise StateError where that is not known."""
    if not lease.boot_id:
        raise StateError("cannot tell this boot: /proc/sys/kernel/random/boot_id cannot be read")


def _forget(host: Machine, lease: Lease) -> None:
    """Delete the amendments of an environment that something detached later has made up for.

    They do no harm: where that fails, they lie until the environment ends.

    Nothing that is attached makes up for them: without what was detached before, the older leases
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
    """Let chance separate rivals.

    No tie-break: one could evict a lease that was granted already.
    """
    time.sleep(chance.random() * _BACK_OFF * (1 + attempt))


def _refuse_over(found: Environment) -> None:
    """Raise UnknownEnvironment where the time of an environment is over: it is being ended."""
    if found.expires_ns is not None and processes.boottime_ns() >= found.expires_ns:
        raise UnknownEnvironment(f"the time of environment {found.label} is over")


def _left(expires_ns: Optional[int]) -> Optional[int]:
    """Whole seconds until then."""
    if expires_ns is None:
        return None
    return max(0, expires_ns - processes.boottime_ns()) // 10**9
