"""The position of a ticket in the line of a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

from genvx.core.line.standing import Standing
from genvx.core.placing.placement import Placement
from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.line.ticket import Ticket
    from genvx.core.placing.refusal import Refusal


@value
class Position:
    """The position of one ticket in the line.

    place: 1 is first. over_limit: the limit that its owner would exceed, if the ticket waits for
    that.
    """

    ticket: Ticket
    place: int
    decision: Union[Placement, Refusal]
    over_limit: str = ""

    @property
    def offered(self) -> bool:
        """Whether the ticket's holder may take the devices now."""
        return isinstance(self.decision, Placement) and not self.over_limit

    @property
    def standing(self) -> Standing:
        """The position of its request, as people see it."""
        return Standing(self.place, self.reason)

    @property
    def reason(self) -> str:
        """Why the ticket waits, in a few words."""
        if self.over_limit:
            return f"may {self.over_limit}, by policy"
        if isinstance(self.decision, Placement):
            return "its turn"
        wanted = self.decision.requirements.gpus
        return f"{min(self.decision.fitting, wanted)} of {wanted} available"
