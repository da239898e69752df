"""A list of runs of many hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.errors import GenvxError

T = TypeVar("T")


class FoundRuns(list[T]):
    """FoundRuns are runs of many hosts, the newest first.

    failed: the errors of the hosts that could not be asked, by name.
    """

    def __init__(self, found: Sequence[T], failed: Mapping[str, GenvxError]) -> None:
        super().__init__(found)
        self.failed = failed
