"""A refusal: why there is no room for a request on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from genvx.core.requests.ranges import ranges
from genvx.core.requests.requirements import UNNAMED
from genvx.core.value import value
from genvx.errors import NoCapacity, Unsatisfiable

if TYPE_CHECKING:
    from genvx.core.requests.requirements import Requirements


@value
class Refusal:
    """Why there is no room: how many of how many devices fit, and the reason for each other device.

    ever: how many devices would fit if nobody held any and all were well.
    """

    requirements: Requirements
    fitting: int
    total: int
    reasons: tuple[tuple[str, str], ...]
    driver_error: Optional[str] = None
    ever: int = 0

    @property
    def never(self) -> bool:
        """Whether waiting is of no use: the host does not have enough such devices."""
        return self.driver_error is None and self.ever < self.requirements.gpus

    @property
    def passing(self) -> bool:
        """Whether waiting may help: there are enough such devices, and somebody else has them."""
        return self.driver_error is None and not self.never

    @property
    def error(self) -> NoCapacity:
        """The refusal as an exception."""
        if self.never:
            return Unsatisfiable(str(self))
        return NoCapacity(str(self), waiting_helps=self.passing)

    def __str__(self) -> str:
        return f"{self.requirements} wanted, {'but ' if self.never else ''}{self.found}"

    @property
    def found(self) -> str:
        """What is available instead, for messages where the request itself is already clear."""
        if self.driver_error is not None:
            return f"0 devices here: {self.driver_error}"
        reasons = self.reasons
        if self.requirements.devices:
            reasons = tuple(pair for pair in reasons if pair[1] != UNNAMED)
        if self.never and self.requirements.devices:
            if self.ever:
                head = f"this host can offer only {self.ever} of these"
            else:
                one = len(self.requirements.devices) == 1
                head = f"this host cannot offer {'it' if one else 'them'}"
        elif self.never:
            head = f"this host has {self.ever} at most" if self.ever else "this host has none"
        else:
            head = f"{self.fitting} of {self.total} available"
        groups: dict[str, list[str]] = {}
        for label, reason in reasons:
            groups.setdefault(reason, []).append(label)
        if not groups:
            return head
        shown = [
            f"GPU{'' if len(labels) == 1 else 's'} {ranges(labels)}: {reason.removeprefix('is ')}"
            for reason, labels in list(groups.items())[:8]
        ]
        if len(groups) > 8:
            shown.append(f"and {sum(map(len, list(groups.values())[8:]))} more GPUs")
        return f"{head} ({'; '.join(shown)})"
