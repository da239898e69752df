"""What a far end replies that holds devices, or waits for them."""

from __future__ import annotations

from typing import Union

from genvx.core.leases.grant import Grant
from genvx.core.line.standing import Standing
from genvx.core.value import value


@value
class Behind:
    """Whom a command waits for, in words, before its turn on the devices."""

    who: str


@value
class Joined:
    """The expected shell has joined the environment."""


@value
class NeverRan:
    """The expected shell never started.

    start_up: the start-up file that the login shell reads first, which may be the cause; empty if
    unknown.
    """

    start_up: str


Progress = Union[Grant, Standing, Behind, Joined, NeverRan]
"""The replies, one after another, of a far end that holds devices or waits for them."""
