"""Copying files that may change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from genvx.errors import ProjectChanged

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_TRIES = 3


def unchanged(copy: Callable[[], T]) -> T:
    """Copy files, and again where one of them has changed meanwhile; three times in all.

    Raises:
        ProjectChanged: one is changed all the time.
    """
    for _ in range(_TRIES - 1):
        try:
            return copy()
        except ProjectChanged:
            continue
    return copy()
