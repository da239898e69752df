"""The answers of many hosts to one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from genvx.core.value import field, value
from genvx.errors import FleetError, GenvxError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


@value
class Outcomes(Generic[T]):
    """Outcomes are the answers of many hosts to one question, in the order of the fleet.

    succeeded: the values by host name. failed: the errors by host name. old: the hosts whose values
    are not of this moment.
    """

    succeeded: Mapping[str, T] = field(default_factory=dict)
    failed: Mapping[str, GenvxError] = field(default_factory=dict)
    old: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.succeeded) + len(self.failed)

    def values(self) -> Mapping[str, T]:
        """Return the value of every host.

        Raises:
            FleetError: a host failed; its `outcomes` are these.
        """
        if self.failed:
            first, error = next(iter(self.failed.items()))
            more = f" and {len(self.failed) - 1} more hosts failed" if len(self.failed) > 1 else ""
            raise FleetError(f"{first}: {error}{more}", self)
        return self.succeeded
