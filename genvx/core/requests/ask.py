"""What a caller asks of a host: devices for a new environment, or a share in a living one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.quantities.ages import LONGEST
from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.requests.requirements import Requirements


@value
class Ask:
    """A request for devices for a new environment.

    name: of the environment. environment_id: its id; by default the host makes one up. command:
    what it will run, for people to read. lasts: seconds after which the environment ends; by
    default as long as the host's policy says, or for ever. patience: the most seconds to wait in
    line; None does not wait. keeps: whether the waiting request reserves the devices that it could
    use, while they are too few for it.
    """

    requirements: Requirements
    name: str = ""
    environment_id: Optional[str] = None
    command: str = ""
    lasts: Optional[float] = None
    patience: Optional[float] = None
    keeps: bool = True

    def __post_init__(self) -> None:
        for what, given in (("a time", self.lasts), ("a time to wait", self.patience)):
            # `not given >= 0` refuses NaN, too: it compares false with every time, so the waiting
            # would never end.
            if given is not None and (type(given) not in (int, float) or not given >= 0):
                raise InvalidInput(f"{what} is a number of seconds, not {given!r}")
        if self.lasts is not None and self.lasts > LONGEST:
            raise InvalidInput(f"a time is at most {LONGEST:.0f} seconds, not {self.lasts!r}")

    @property
    def seconds(self) -> Optional[int]:
        """How long the environment lasts, in whole seconds, as leases store it."""
        return None if self.lasts is None else max(1, round(self.lasts))


@value
class Join:
    """A request to join a living environment of one's own, beside the processes that hold it.

    command: what joins, for people to read.
    """

    environment_id: str
    command: str = ""


Wanted = Union[Ask, Join]
