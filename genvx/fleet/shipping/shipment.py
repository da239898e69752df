"""A tree of files that can be sent to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from genvx.core.projects.manifest import Manifest
    from genvx.core.projects.project import Project

    # Called with how many bytes have been sent, and how many are to be sent.
    Sent = Callable[[int, int], object]


class Shipment(Protocol):
    """A tree that can be sent."""

    @property
    def manifest(self) -> Manifest:
        """Its files."""

    @property
    def recorded(self) -> Project:
        """What the record of a run says of it."""

    def contents(self, wanted: Sequence[int]) -> Iterator[tuple[bytes, bool]]:
        """The contents of the bodies with these indices, and whether packing helps."""


class DirectoryShipment(Shipment, Protocol):
    """A directory that can be sent, and copies of it brought up to date."""

    def unwanted(self, extra: Sequence[bytes]) -> list[bytes]:
        """Of the names that a copy of it has and it has not, those that do not belong there."""
