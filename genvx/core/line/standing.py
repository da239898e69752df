"""The position of a request that waits, as people see it."""

from __future__ import annotations

from genvx.core.value import value


@value
class Standing:
    """The position of one waiting request.

    place: 1 is first in the line; 0 means that it is not in the line just now. reason: why the
    request waits, in a few words.
    """

    place: int
    reason: str
