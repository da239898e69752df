"""An environment: the named holder of leases, as people see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.device import VisibleAs
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.leases.claim import EnvironmentKey, Owner


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
        from genvx.core.quantities.ages import format_age

        age = format_age(max(0, now_ns - self.since_ns) / 1e9)
        text = f"{self.pid} ({self.program}), started {age}" + (", stopped" if self.stopped else "")
        return text if self.certain else f"perhaps {text}; it cannot be inspected"


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
    def key(self) -> EnvironmentKey:
        """What tells it from all others on its host."""
        return (self.owner.uid, self.id)

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
