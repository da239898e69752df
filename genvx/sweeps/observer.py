"""Who is told what happens in a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from genvx.sweeps.trial import Trial


class Observer(Protocol):
    """Observer is told what happens in a sweep, in the thread that runs it."""

    def say(self, line: str) -> None:
        """Take a line for people."""

    def changed(self, trial: Trial | None) -> None:
        """Take notice of a change of one trial, or of something else."""


class Silence:
    """Silence is an observer that does nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def changed(self, trial: Trial | None) -> None:
        """Do nothing."""
