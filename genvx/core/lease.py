"""Who holds what. A lease is an environment's hold on some devices of one host.

Whether somebody holds a lease is not decided here: the kernel knows (local/state/store.py). What
follows from that, from its part and from its time is (`Lease.counts`).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Optional

from genvx.core.claim import Claim
from genvx.core.device import VisibleAs
from genvx.core.text import printable
from genvx.core.value import replace, value
from genvx.errors import UnknownEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from genvx.core.claim import EnvironmentKey, Owner

# A held lease counts for so long after its time: its processes are being ended then (warning, TERM,
# KILL). Later it does not count, or a user who kills the keeper of the time would hold it for ever.
OVERTIME_NS = 60 * 10**9


class Part(str, Enum):
    """What a lease is to its environment, and what it lives by.

    HELD makes the environment live while somebody holds it, and until its time is over. RESERVED
    does so until its time is over, whoever holds it or not. ATTACHED and DETACHED amend the
    environment: more devices, or fewer, from that moment on; they live with it.
    """

    HELD = "held"
    RESERVED = "reserved"
    ATTACHED = "attached"
    DETACHED = "detached"


@value
class Holder:
    """A living process that holds a lease. since_ns: CLOCK_BOOTTIME when it was started. stopped:
    by a signal, as Ctrl-Z does. certain: False for one that cannot be looked into, and may.
    """

    pid: int
    command: str
    since_ns: int
    stopped: bool = False
    certain: bool = True

    @property
    def program(self) -> str:
        return self.command.split(" ")[0].rpartition("/")[2]

    def described(self, now_ns: int) -> str:
        """In words: its pid, its program, since when it runs, and whether it is stopped."""
        from genvx.core.units import format_age

        age = format_age(max(0, now_ns - self.since_ns) / 1e9)
        text = f"{self.pid} ({self.program}), started {age}" + (", stopped" if self.stopped else "")
        return text if self.certain else f"perhaps {text}; it cannot be looked into"


@value
class Lease(Claim):
    """One hold. `memory` is bytes on each device, or None for the whole of each. `over`: a share
    beside shares that may add up to more than the device has. `visible_as`: how what runs under it
    sees its devices.

    Times are nanoseconds of CLOCK_BOOTTIME in the boot `boot_id`. `pid`, `starttime`, `command`,
    `host`, `note` and `holders` are for people to read; no decision rests on them. `pid` took the
    lease and may have ended; `holders` are the processes that keep it now: () for one that lives
    without any, None where nobody has looked or where only its owner could see them.
    """

    devices: tuple[str, ...]
    memory: Optional[int]
    expires_ns: Optional[int] = None
    note: str = ""
    part: Part = Part.HELD
    over: bool = False
    visible_as: VisibleAs = VisibleAs.UUID
    holders: Optional[tuple[Holder, ...]] = None

    @property
    def amends(self) -> bool:
        """Whether it changes an environment, and makes none live."""
        return self.part in (Part.ATTACHED, Part.DETACHED)

    def counts(self, *, held: bool, boot_id: str, now_ns: int) -> bool:
        """Whether it counts now; one that amends, while its environment lives.

        held: whether somebody holds it. boot_id: of this boot; empty where it is not known.
        """
        if self.part is Part.HELD:
            over = self.expires_ns is not None and now_ns >= self.expires_ns + OVERTIME_NS
            return held and not over
        if not boot_id or self.boot_id != boot_id:
            return False
        if self.part is Part.RESERVED:
            return self.expires_ns is not None and now_ns < self.expires_ns
        return True


@value
class Environment:
    """A named holder of leases: a shell, a job, a kernel.

    The sum of its living leases on one host. expires_ns: when it is ended, if ever. pids: the
    processes that took its leases. holders: those that keep them now, as in Lease.
    """

    id: str
    name: str
    owner: Owner
    since_ns: int
    devices: tuple[str, ...]
    memory: Optional[int]
    pids: tuple[int, ...]
    command: str
    expires_ns: Optional[int] = None
    visible_as: VisibleAs = VisibleAs.UUID
    holders: Optional[tuple[Holder, ...]] = None

    @property
    def label(self) -> str:
        return f"{self.name} ({self.id})" if self.name else self.id

    @property
    def living_pids(self) -> tuple[int, ...]:
        """The processes that hold it as far as that is known; else those that took its leases."""
        if self.holders is None:
            return self.pids
        return tuple(holder.pid for holder in self.holders)

    @property
    def outlived(self) -> bool:
        """Whether all that took its leases have ended, and others hold them: jobs, daemons."""
        return bool(self.holders) and not set(self.pids) & set(self.living_pids)


def amended(held: Sequence[Lease], amendments: Sequence[Lease]) -> tuple[Lease, ...]:
    """The leases as they count, oldest first: with what was attached to living environments, and
    without what was detached after they began to hold it.

    An amendment that is missing here makes nothing look free that is held: one that detaches is
    never undone but by a later one that attaches, and that is published as leases are.
    """
    if not amendments:
        return tuple(sorted(held, key=_age))
    living = {lease.key for lease in held}
    gone: dict[tuple[EnvironmentKey, str], int] = {}
    for lease in amendments:
        if lease.part is Part.DETACHED:
            for uuid in lease.devices:
                place = (lease.key, uuid)
                gone[place] = max(gone.get(place, 0), lease.since_ns)
    attached = (a for a in amendments if a.part is Part.ATTACHED and a.key in living)
    found = []
    for lease in [*held, *attached]:
        kept = tuple(u for u in lease.devices if gone.get((lease.key, u), -1) < lease.since_ns)
        if kept or not lease.amends:
            found.append(lease if kept == lease.devices else replace(lease, devices=kept))
    return tuple(sorted(found, key=_age))


def _age(lease: Lease) -> tuple[int, str]:
    return (lease.since_ns, lease.id)


def environments(leases: Iterable[Lease]) -> tuple[Environment, ...]:
    """Gather living leases into environments, oldest first."""
    members: dict[EnvironmentKey, list[Lease]] = {}
    for lease in leases:
        members.setdefault(lease.key, []).append(lease)
    found = []
    for group in members.values():
        group.sort(key=_age)
        first = group[0]
        found.append(
            Environment(
                id=first.environment,
                name=first.name,
                owner=first.owner,
                since_ns=first.since_ns,
                devices=tuple(dict.fromkeys(uuid for lease in group for uuid in lease.devices)),
                memory=_joint_memory(lease.memory for lease in group if lease.devices),
                pids=tuple(lease.pid for lease in group if lease.pid),
                command=first.command,
                expires_ns=min(
                    (lease.expires_ns for lease in group if lease.expires_ns is not None),
                    default=None,
                ),
                visible_as=first.visible_as,
                holders=_joint_holders(group),
            )
        )
    return tuple(sorted(found, key=lambda env: (env.since_ns, env.owner.uid, env.id)))


def _joint_holders(leases: Iterable[Lease]) -> Optional[tuple[Holder, ...]]:
    """The holders of an environment, each once; None if there are none that can be seen."""
    told = [lease.holders for lease in leases]
    found = {holder.pid: holder for holders in told for holder in holders or ()}
    return None if not found and None in told else tuple(found.values())


def meant(leases: Iterable[Lease], wanted: str) -> Optional[EnvironmentKey]:
    """The environment that is named by its id or, if that is nobody's id, by its name; None: there
    is none.

    Raises:
        UnknownEnvironment: the name fits several.
    """
    found = [lease for lease in leases if wanted and wanted in (lease.environment, lease.name)]
    by_id = {lease.key for lease in found if lease.environment == wanted}
    keys = sorted(by_id or {lease.key for lease in found})
    if len(keys) > 1:
        ids = ", ".join(identifier for _, identifier in keys)
        raise UnknownEnvironment(
            f"several environments are named {printable(wanted, 60)!r}; give the id: {ids}"
        )
    return keys[0] if keys else None


def holders(leases: Iterable[Lease], uuid: str) -> dict[EnvironmentKey, Optional[int]]:
    """Which environments hold the device `uuid`, and how many bytes of it (None: all of it).

    The members of one environment share its hold, so its terminals do not add up.
    """
    return holdings(lease for lease in leases if uuid in lease.devices).get(uuid, {})


def _joint_memory(sizes: Iterable[Optional[int]]) -> Optional[int]:
    known = list(sizes)
    if not known or any(size is None for size in known):
        return None
    return max(size for size in known if size is not None)


def fits(
    wanted: Optional[int],
    others: Mapping[EnvironmentKey, Optional[int]],
    capacity: Optional[int],
    *,
    over: bool = False,
) -> bool:
    """Whether a hold of `wanted` bytes (None: all) fits beside the holds of others on one device.

    capacity: the device's bytes; None where unknown, and then there are no shares. over: whether
    shares may add up to more than that.
    """
    if wanted is None:
        return not others
    if capacity is None or any(size is None for size in others.values()):
        return False
    if over:
        return wanted <= capacity
    return wanted + sum(size for size in others.values() if size is not None) <= capacity


def conflicts(mine: Lease, living: Iterable[Lease], memory: Mapping[str, Optional[int]]) -> bool:
    """Whether `mine` asks for more than is left beside the leases of other environments.

    memory: bytes of each device of `mine`. Both the verify step of an acquire and the tests of it
    rest on this.
    """
    others = [lease for lease in living if lease.key != mine.key]
    return any(
        not fits(mine.memory, holders(others, uuid), memory.get(uuid), over=mine.over)
        for uuid in mine.devices
    )


def holdings(leases: Iterable[Lease]) -> dict[str, dict[EnvironmentKey, Optional[int]]]:
    """`holders` of every device that is held, at once."""
    found: dict[str, dict[EnvironmentKey, Optional[int]]] = {}
    for lease in leases:
        for uuid in lease.devices:
            held = found.setdefault(uuid, {})
            if lease.key in held:
                held[lease.key] = _joint_memory((held[lease.key], lease.memory))
            else:
                held[lease.key] = lease.memory
    return found
