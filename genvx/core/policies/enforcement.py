"""What the administrator has done about GPUs that are used against the rules."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from genvx.core.value import field, value


class Measure(str, Enum):
    """The last thing that a rule does; people are always told first."""

    TELL = "tell"
    END = "end"
    RELEASE = "release"


@value
class ProcessRule:
    """About processes on a GPU that is not theirs. grace: seconds from the first line to SIGTERM;
    SIGKILL comes 10 s later.
    """

    do: Measure = Measure.TELL
    grace: float = 300.0


@value
class MemoryRule:
    """About users of shares. margin: bytes above the share that are let pass."""

    do: Measure = Measure.TELL
    grace: float = 300.0
    margin: int = 512 * (1 << 20)


@value
class IdleRule:
    """About environments that do not use their GPUs. after: seconds. below: a process that keeps a
    GPU busy for a smaller percentage is idle.
    """

    do: Measure = Measure.TELL
    after: float = 7200.0
    below: int = 5


@value
class Exempt:
    """Whom no rule is for. users: names or uids. commands: full paths of programs."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@value
class Enforcement:
    """The rules of one machine; None for those that it does not have.

    squatters: on a GPU that nobody leases. intruders: on one that only others lease. hook: the
    words of a command that is run for each action; empty for none.
    """

    squatters: Optional[ProcessRule] = None
    intruders: Optional[ProcessRule] = None
    memory: Optional[MemoryRule] = None
    idle: Optional[IdleRule] = None
    exempt: Exempt = field(default_factory=Exempt)
    hook: tuple[str, ...] = ()
