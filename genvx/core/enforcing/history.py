"""What earlier rounds have seen and done, as far as the next one needs it.

Times are nanoseconds of CLOCK_BOOTTIME.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.value import field, value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.enforcing.action import Rule
    from genvx.core.leases.claim import EnvironmentKey

# A pid and its start time.
ProcessKey = tuple[int, int]


@value
class ChargeKey:
    """What somebody is charged with. process: who breaks the rule; None where it is a user on one
    device, as with shares. device: its UUID, or empty.
    """

    rule: Rule
    uid: int
    process: Optional[ProcessKey] = None
    device: str = ""


@value
class Charge:
    """Since when somebody has been told, and what was done then.

    devices: UUIDs. target: the process that was asked to end at asked_ns.
    """

    told_ns: int
    devices: tuple[str, ...] = ()
    target: Optional[ProcessKey] = None
    asked_ns: Optional[int] = None


@value
class Quiet:
    """Since when an environment has been idle. memory: bytes on each device, by UUID."""

    since_ns: int
    memory: Mapping[str, int] = field(default_factory=dict)
    told_ns: Optional[int] = None


@value
class History:
    """What is known from earlier rounds; empty before the first."""

    charges: Mapping[ChargeKey, Charge] = field(default_factory=dict)
    quiet: Mapping[EnvironmentKey, Quiet] = field(default_factory=dict)
