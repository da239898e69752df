"""What everything that somebody holds or waits for on a host has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import value, value_base

if TYPE_CHECKING:
    from typing import Any

# An environment is its id together with its owner: nobody joins an environment of another uid by
# naming it.
EnvironmentKey = tuple[int, str]


@value
class Owner:
    """A Unix user of one host; `uid` is the kernel's word, `name` is for people."""

    uid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name}({self.uid})"


@value_base
class Claim:
    """Which environment it is of, whose, and since when: the fields of every lease and ticket.

    since_ns: nanoseconds of CLOCK_BOOTTIME in the boot `boot_id`. pid, starttime, host, command: of
    the process that made it, for people to read; no decision rests on them.
    """

    id: str
    owner: Owner
    environment_id: str
    name: str
    boot_id: str
    since_ns: int
    pid: int = 0
    starttime: int = 0
    host: str = ""
    command: str = ""

    @property
    def key(self) -> EnvironmentKey:
        """The environment that it is of."""
        return (self.owner.uid, self.environment_id)

    @property
    def label(self) -> str:
        """What people call its environment."""
        return f"{self.name} ({self.environment_id})" if self.name else self.environment_id

    def claimed(self) -> dict[str, Any]:
        """These fields by name, to make another claim for the same."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = tuple(Claim.__annotations__)
