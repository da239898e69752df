"""What somebody asks a host for: devices for a new environment, or a share in one that lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from genvx.core.value import value
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from genvx.core.requirements import Requirements


@value
class Ask:
    """Devices for a new environment.

    name: of the environment. environment_id: its id, which the host makes up by default. command:
    what it will run, for people to read. lasts: seconds after which it ends; by default what the
    host's policy says, or never. patience: seconds to wait in line at most; None does not wait.
    keeps: whether a request that waits keeps those behind it from what it could use, while that is
    too little for it.
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
            if given is not None and (type(given) not in (int, float) or not given >= 0):
                raise InvalidInput(f"{what} is a number of seconds, not {given!r}")

    @property
    def seconds(self) -> Optional[int]:
        """How long it lasts, in whole seconds, as leases have it."""
        return None if self.lasts is None else max(1, round(self.lasts))


@value
class Join:
    """A share in a living environment of one's own, beside those that hold it.

    command: what joins, for people to read.
    """

    environment_id: str
    command: str = ""


Wanted = Union[Ask, Join]
