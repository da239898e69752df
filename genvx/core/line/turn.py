"""A turn on devices that several share, as `genvx lock` takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.value import value

if TYPE_CHECKING:
    from genvx.core.leases.claim import Owner

# No number gets this high by taking turns: a user must have written it. A number above it would be
# malformed to all others, who would then not wait for us.
LAST = 1 << 62


@value
class Turn:
    """A turn on devices, or one that is being chosen: then `number` is 0."""

    id: str
    owner: Owner
    environment_id: str
    devices: tuple[str, ...]
    number: int = 0
    pid: int = 0
    command: str = ""

    @property
    def order(self) -> tuple[int, str]:
        """Who is first: the smaller number, and of equal ones the smaller id."""
        return (self.number, self.id)

    def __str__(self) -> str:
        what = f" ({self.command})" if self.command else ""
        return f"{self.owner}, process {self.pid}{what}"
