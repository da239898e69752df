"""Leases and environments: who holds which devices of one host.

Whether a process holds a lease is not decided here: the kernel knows (local/state/store.py).
`Lease.counts` decides what follows from that, from the lease's part and from its time.
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

# A held lease still counts for this long after its time, while its processes are being ended
# (warning, TERM, KILL). Without a limit, a user who kills the keeper of the time would hold the
# devices for ever.
OVERTIME_NS = 60 * 10**9


class Part(str, Enum):
    """The role of a lease in its environment, and what keeps it alive.

    HELD keeps the environment alive while a process holds the lease, and until its time is over.
    RESERVED keeps it alive until its time is over, held or not. ATTACHED and DETACHED amend the
    environment: it has more devices, or fewer, from that moment on; they count while it lives.
    """

    HELD = "held"
    RESERVED = "reserved"
    ATTACHED = "attached"
    DETACHED = "detached"


@value
class Holder:
    """A living process that holds a lease.

    since_ns: CLOCK_BOOTTIME when the process was started. stopped: by a signal, as Ctrl-Z does.
    certain: False for a process that may hold the lease but cannot be inspected.
    """

    pid: int
    command: str
    since_ns: int
    stopped: bool = False
    certain: bool = True

    @property
    def program(self) -> str:
        """The name of the process's program, without its directory."""
        return self.command.split(" ")[0].rpartition("/")[2]

    def described(self, now_ns: int) -> str:
        """Describe the process in words: its pid, program and age, and whether it is stopped."""
        from genvx.core.ages import format_age

        age = format_age(max(0, now_ns - self.since_ns) / 1e9)
        text = f"{self.pid} ({self.program}), started {age}" + (", stopped" if self.stopped else "")
        return text if self.certain else f"perhaps {text}; it cannot be inspected"


@value
class Lease(Claim):
    """An environment's hold on some devices.

    `memory`: bytes on each device, or None for the whole of each. `over`: whether this share and
    others may add up to more than the device has. `visible_as`: how CUDA_VISIBLE_DEVICES names the
    devices for what runs under it.

    Times are nanoseconds of CLOCK_BOOTTIME in the boot `boot_id`. `pid`, `starttime`, `command`,
    `host`, `note` and `holders` are for people to read; no decision depends on them. `pid` is the
    process that took the lease, and may have ended. `holders` are the processes that hold it now:
    () for a lease that needs none, None if nobody has looked or only the owner could see them.
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
        """Whether the lease changes an environment instead of keeping one alive."""
        return self.part in (Part.ATTACHED, Part.DETACHED)

    def counts(self, *, held: bool, boot_id: str, now_ns: int) -> bool:
        """Whether the lease counts now; an amendment also needs a living environment (see
        `amended`).

        held: whether a process holds the lease. boot_id: of this boot; empty where it is unknown.
        """
        if self.part is Part.HELD:
            over = self.expires_ns is not None and now_ns >= self.expires_ns + OVERTIME_NS
            return held and not over
        # Nothing below needs a holder, so a file on a persistent disk would count again after a
        # reboot: CLOCK_BOOTTIME starts at 0 in each boot. The boot id tells the boots apart.
        if not boot_id or self.boot_id != boot_id:
            return False
        if self.part is Part.RESERVED:
            return self.expires_ns is not None and now_ns < self.expires_ns
        return True


@value
class Environment:
    """A named holder of leases: a shell, a job, a kernel.

    It is the sum of its living leases on one host. expires_ns: when it is ended; None for never.
    pids: the processes that took its leases. holders: the processes that hold them now, as in
    Lease.
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
        """The environment's name and id as people see them."""
        return f"{self.name} ({self.id})" if self.name else self.id

    @property
    def living_pids(self) -> tuple[int, ...]:
        """The processes that hold the environment; if unknown, those that took its leases."""
        if self.holders is None:
            return self.pids
        return tuple(holder.pid for holder in self.holders)

    @property
    def outlived(self) -> bool:
        """Whether all processes that took its leases have ended, and others (jobs, daemons) hold
        them.
        """
        return bool(self.holders) and not set(self.pids) & set(self.living_pids)


def amended(held: Sequence[Lease], amendments: Sequence[Lease]) -> tuple[Lease, ...]:
    """Return the leases as they count, oldest first, with attached devices and without detached
    ones.

    Devices are attached only to living environments. Devices are detached only from leases that are
    older than the detachment.

    If a scan misses an amendment, no held device looks free: a detachment is undone only by a later
    attachment, and that is published and verified as leases are.
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
    """Group living leases into environments, oldest first."""
    members: dict[EnvironmentKey, list[Lease]] = {}
    for lease in leases:
        members.setdefault(lease.key, []).append(lease)
    found = []
    for group in members.values():
        group.sort(key=_age)
        # The oldest lease names the environment: its name and command are those of its first
        # process, whatever joins later.
        first = group[0]
        found.append(
            Environment(
                id=first.environment_id,
                name=first.name,
                owner=first.owner,
                since_ns=first.since_ns,
                devices=tuple(dict.fromkeys(uuid for lease in group for uuid in lease.devices)),
                memory=_joint_memory(lease.memory for lease in group if lease.devices),
                pids=tuple(lease.pid for lease in group if lease.pid),
                command=first.command,
                # The first end among its leases ends the environment: one who joins cannot make it
                # last longer.
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
    """Find the environment that a user means by its id or its name; None if there is none.

    An id comes before a name.

    Raises:
        UnknownEnvironment: the name fits several environments.
    """
    found = [lease for lease in leases if wanted and wanted in (lease.environment_id, lease.name)]
    by_id = {lease.key for lease in found if lease.environment_id == wanted}
    keys = sorted(by_id or {lease.key for lease in found})
    if len(keys) > 1:
        ids = ", ".join(identifier for _, identifier in keys)
        raise UnknownEnvironment(
            f"several environments are named {printable(wanted, 60)!r}; give the id: {ids}"
        )
    return keys[0] if keys else None


def holders(leases: Iterable[Lease], uuid: str) -> dict[EnvironmentKey, Optional[int]]:
    """Return the environments that hold the device `uuid`, with their bytes of it (None: all).

    The members of one environment share its hold, so those of its terminals do not add up.
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

    capacity: the device's bytes; None where unknown, and then it has no shares. over: whether
    shares may add up to more than the capacity.
    """
    if wanted is None:
        return not others
    if capacity is None or any(size is None for size in others.values()):
        return False
    if over:
        return wanted <= capacity
    return wanted + sum(size for size in others.values() if size is not None) <= capacity


def conflicts(mine: Lease, living: Iterable[Lease], memory: Mapping[str, Optional[int]]) -> bool:
    """Whether `mine` asks for more than the leases of other environments leave.

    memory: bytes of each device of `mine`. The verify step of an acquire and its tests both use
    this.
    """
    # Our own environment is no rival: all its members hold the same share.
    others = [lease for lease in living if lease.key != mine.key]
    return any(
        not fits(mine.memory, holders(others, uuid), memory.get(uuid), over=mine.over)
        for uuid in mine.devices
    )


def holdings(leases: Iterable[Lease]) -> dict[str, dict[EnvironmentKey, Optional[int]]]:
    """Return `holders` of every device that is held, at once."""
    found: dict[str, dict[EnvironmentKey, Optional[int]]] = {}
    for lease in leases:
        for uuid in lease.devices:
            held = found.setdefault(uuid, {})
            if lease.key in held:
                held[lease.key] = _joint_memory((held[lease.key], lease.memory))
            else:
                held[lease.key] = lease.memory
    return found
