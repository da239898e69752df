"""Tuner: what chooses the parameters of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from genvx.core.sweeps.outcome import Outcome
    from genvx.core.sweeps.parameters import Parameters


class Tuner(Protocol):
    """Tuner chooses the parameters of each trial, and learns from how trials end.

    It is used from one thread. It keeps nothing: after a restart, a new one of the same space, goal
    and seed gets the same calls from a journal, with `adopt` in place of `ask`, and goes on as the
    first would have.
    """

    def ask(self, number: int) -> Parameters | None:
        """Return the parameters of the trial `number`; None if the space is used up."""

    def adopt(self, number: int, parameters: Parameters) -> None:
        """Take note of parameters that `ask` returned before a restart.

        Raises:
            InvalidInput: they are not of this space.
        """

    def reported(self, number: int, step: int, value: float) -> bool:
        """Take note of a value on the way; return whether to end the trial, since it falls behind.

        value: may be NaN or infinite.
        """

    def tell(self, number: int, outcome: Outcome) -> None:
        """Take note of how a trial has ended."""


__all__ = ["Tuner"]
